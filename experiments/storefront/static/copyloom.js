/* Copyloom on a page. Apache-2.0, no dependencies.

   <h1 data-copyloom="hero" data-product="boots">Warm boots for cold days.</h1>
   <a href="/cart" data-copyloom-reward="hero" data-value="1" data-kind="click">Into the basket</a>
   <script src="https://copy.example/copyloom.js" data-key="cl_..." defer></script>

   The text in the element is the fallback: it stays where no answer comes within data-wait milliseconds. The key must
   have the scopes decide and reward alone, for everyone can read it. */
(function () {
  "use strict";
  var tag = document.currentScript;
  var base = tag.dataset.url || new URL(tag.src).origin;
  var wait = Number(tag.dataset.wait || 400);
  var events = {};

  function id() {
    var bytes = crypto.getRandomValues(new Uint8Array(16));
    return Array.from(bytes, function (b) { return b.toString(16).padStart(2, "0"); }).join("");
  }

  function unit() { // the same visitor, treated alike; data-unit="" on the script for none
    if ("unit" in tag.dataset) return tag.dataset.unit;
    try {
      var known = localStorage.getItem("copyloom-unit") || id();
      localStorage.setItem("copyloom-unit", known);
      return known;
    } catch (blocked) { return ""; }
  }

  function post(path, body, options) {
    return fetch(base + path, Object.assign({
      method: "POST", credentials: "omit", keepalive: true, body: JSON.stringify(body),
      headers: { "Content-Type": "application/json", "Authorization": "Bearer " + tag.dataset.key }
    }, options));
  }

  function again(path, body, left) { // what is sent twice counts once
    post(path, body).catch(function () { return { status: 503 }; }).then(function (answer) {
      if ((answer.status >= 500 || answer.status === 429) && left) setTimeout(again, 1000, path, body, left - 1);
    });
  }

  function exposeWhenSeen(element, event) {
    function seen() { again("/v1/expose", { event_id: event, shown_at: new Date().toISOString() }, 2); }
    if (!window.IntersectionObserver) return seen();
    var watch = new IntersectionObserver(function (entries) {
      if (!entries.some(function (one) { return one.isIntersecting; })) return;
      watch.disconnect();
      seen();
    }, { threshold: 0.5 });
    watch.observe(element);
  }

  function decide(slot, elements) { // one event for all places of a slot on the page
    var event = id(), stop = new AbortController();
    events[slot] = event;
    elements.forEach(function (element) {
      element.style.minHeight = element.offsetHeight + "px"; // a shorter text moves nothing
      element.style.visibility = "hidden";
    });
    var timer = setTimeout(function () { stop.abort(); }, wait);
    post("/v1/decide", {
      event_id: event, slot: slot, unit_id: unit(), product_id: elements[0].dataset.product || "", defer: true,
      context: { device: matchMedia("(max-width: 700px)").matches ? "mobile" : "desktop" }
    }, { signal: stop.signal, keepalive: false }).then(function (answer) {
      if (!answer.ok) throw new Error("copyloom: " + answer.status);
      return answer.json();
    }).then(function (said) {
      elements.forEach(function (element) {
        element.textContent = said.text;
        element.dataset.copyloomReason = said.reason;
        exposeWhenSeen(element, event);
      });
    }).catch(function () {
      elements.forEach(function (element) { element.dataset.copyloomReason = "fallback"; });
    }).finally(function () {
      clearTimeout(timer);
      elements.forEach(function (element) { element.style.visibility = ""; });
    });
  }

  function reward(slot, value, kind, rewardId) {
    if (!events[slot]) return;
    var worth = value === undefined ? 1 : Number(value);
    again("/v1/reward", {
      event_id: events[slot], reward_id: rewardId || (kind || "click") + " " + worth, value: worth,
      kind: kind || "click", at: new Date().toISOString()
    }, 2);
  }

  var places = {};
  document.querySelectorAll("[data-copyloom]").forEach(function (element) {
    (places[element.dataset.copyloom] = places[element.dataset.copyloom] || []).push(element);
  });
  Object.keys(places).forEach(function (slot) { decide(slot, places[slot]); });
  document.addEventListener("click", function (click) {
    var target = click.target.closest && click.target.closest("[data-copyloom-reward]");
    if (target) reward(target.dataset.copyloomReward, target.dataset.value, target.dataset.kind);
  });
  window.copyloom = { reward: reward };
})();
