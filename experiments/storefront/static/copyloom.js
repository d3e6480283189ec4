/* Copyloom on a page. Apache-2.0, no dependencies.

   <h1 data-copyloom="hero" data-product="boots">Warm boots for cold days.</h1>
   <a href="/cart" data-copyloom-reward="hero" data-value="1" data-kind="click">Into the basket</a>
   <script src="https://copy.example/copyloom.js" data-key="cl_..." defer></script>

   The text in the element is the fallback: it stays where no answer comes within data-wait milliseconds. Elements that
   are added later are found by themselves. The key must have the scopes decide and reward alone: everyone can read it. */
(function () {
  "use strict";
  var tag = document.currentScript, settings = tag.dataset;
  var base = settings.url || new URL(tag.src).origin;
  var wait = Number(settings.wait || 400);
  var places = new WeakMap(); // the slot that an element was last given a text of
  var asked = {}; // what is shown in a slot at an address
  var events = {};

  function id() {
    var bytes = crypto.getRandomValues(new Uint8Array(16));
    return Array.from(bytes, function (b) { return b.toString(16).padStart(2, "0"); }).join("");
  }

  function unit() { // the same visitor, treated alike; none for data-unit="" on the script, nor who asks not to be known
    if ("unit" in settings) return settings.unit;
    if (navigator.globalPrivacyControl || navigator.doNotTrack === "1") return "";
    try {
      var known = localStorage.getItem("copyloom-unit") || id();
      localStorage.setItem("copyloom-unit", known);
      return known;
    } catch (blocked) { return ""; }
  }

  function post(path, body, options) {
    return fetch(base + path, Object.assign({
      method: "POST", credentials: "omit", keepalive: true, body: JSON.stringify(body),
      headers: { "Content-Type": "application/json", "Authorization": "Bearer " + settings.key }
    }, options));
  }

  function again(path, body, left) { // what is sent twice counts once
    post(path, body).catch(function () { return { status: 503 }; }).then(function (answer) {
      if ((answer.status >= 500 || answer.status === 429) && left) setTimeout(again, 1000, path, body, left - 1);
    });
  }

  function decide(slot, product) {
    var event = events[slot] = id(), stop = new AbortController(), told = false;
    var timer = setTimeout(function () { stop.abort(); }, wait);
    return post("/v1/decide", {
      event_id: event, slot: slot, unit_id: unit(), product_id: product || "", defer: true,
      context: { device: matchMedia("(max-width: 700px)").matches ? "mobile" : "desktop" }
    }, { signal: stop.signal, keepalive: false }).then(function (answer) {
      if (!answer.ok) throw new Error("copyloom: " + answer.status);
      return answer.json();
    }).then(function (said) {
      return { event: event, text: said.text, reason: said.reason, seen: function () {
        if (!told) again("/v1/expose", { event_id: event, shown_at: new Date().toISOString() }, 2);
        told = true;
      } };
    }).finally(function () { clearTimeout(timer); });
  }

  function whenSeen(element, seen) {
    if (!window.IntersectionObserver) return seen();
    var watch = new IntersectionObserver(function (entries) {
      if (!entries.some(function (one) { return one.isIntersecting; })) return;
      watch.disconnect();
      seen();
    }, { threshold: 0.5 });
    watch.observe(element);
  }

  function fill(element, slot) { // one event for all places of a slot at an address
    var place = slot + " " + location.pathname + location.search;
    places.set(element, slot);
    element.style.minHeight = element.offsetHeight + "px"; // a shorter text moves nothing
    element.style.visibility = "hidden";
    (asked[place] = asked[place] || decide(slot, element.dataset.product)).then(function (said) {
      element.textContent = said.text;
      element.dataset.copyloomReason = said.reason;
      if (element.isConnected) events[slot] = said.event; // clicks are for what is on the page now
      whenSeen(element, said.seen);
    }).catch(function () {
      delete asked[place];
      element.dataset.copyloomReason = "fallback";
    }).finally(function () { element.style.visibility = ""; });
  }

  function scan() {
    document.querySelectorAll("[data-copyloom]").forEach(function (element) {
      var slot = element.dataset.copyloom;
      if (slot && places.get(element) !== slot) fill(element, slot);
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

  function start() {
    start = function () {};
    scan();
    new MutationObserver(scan).observe(document.documentElement, {
      childList: true, subtree: true, attributeFilter: ["data-copyloom"]
    });
    document.addEventListener("click", function (click) {
      var target = click.target.closest && click.target.closest("[data-copyloom-reward]");
      if (target) reward(target.dataset.copyloomReward, target.dataset.value, target.dataset.kind);
    });
  }

  window.copyloom = { reward: reward, start: function () { start(); } };
  if (!("consent" in settings)) start(); // with data-consent nothing is asked or kept before copyloom.start()
})();
