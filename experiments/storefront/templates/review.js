// Keys for the review queue. The page works without: every action is a form.
"use strict";
(() => {
  const cards = [...document.querySelectorAll("article.card")];
  const boxes = [...document.querySelectorAll(".pick input")];
  const chosen = document.getElementById("chosen");
  if (!cards.length) return;
  document.getElementById("keys")?.removeAttribute("hidden");

  const count = () => {
    const many = boxes.filter((box) => box.checked).length;
    if (chosen) chosen.textContent = many ? `${many} of ${boxes.length} on this page` : "none yet";
  };
  for (const box of boxes) box.addEventListener("change", count);
  if (chosen && boxes.length > 1) {
    const all = document.createElement("button");
    all.type = "button";
    all.textContent = "Choose all on this page";
    all.addEventListener("click", () => {
      const every = boxes.every((box) => box.checked);
      for (const box of boxes) box.checked = !every;
      count();
    });
    chosen.parentElement.append(" ", all);
  }
  count();

  const here = () => cards.findIndex((card) => card.contains(document.activeElement));
  const go = (place) => {
    const card = cards[Math.max(0, Math.min(cards.length - 1, place))];
    card.focus({ preventScroll: true });
    card.scrollIntoView({ block: "start" });
  };
  const open = (card, kind) => {
    const details = card.querySelector(`details.${kind}`);
    if (!details) return;
    details.open = true;
    details.querySelector(kind === "edit" ? "textarea" : "input[name=reason]").focus();
  };
  document.addEventListener("keydown", (event) => {
    const field = event.target.closest("input:not([type=checkbox]), textarea, select");
    if (field && event.key === "Escape") {
      (field.closest("article.card") || document.body).focus();
      return;
    }
    if (field || event.ctrlKey || event.metaKey || event.altKey) return;
    const place = here();
    const card = cards[place];
    if (event.key === "j") go(place + 1);
    else if (event.key === "k") go(place < 0 ? 0 : place - 1);
    else if (!card) return;
    else if (event.key === "x") card.querySelector(".pick input")?.click();
    else if (event.key === "e") open(card, "edit");
    else if (event.key === "r") open(card, "reject");
    else if (event.key === "a") {
      const form = card.querySelector("form.approve");
      if (!form) return;
      const reason = form.querySelector("input[name=reason]");
      if (reason && !reason.value.trim()) reason.focus();
      else form.requestSubmit(form.querySelector("button"));
    } else return;
    event.preventDefault();
  });
})();
