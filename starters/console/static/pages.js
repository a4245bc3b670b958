// The inbox and the approval page: live updates, choosing rows, and decisions that don't lose what was typed.
//
// Markup that it looks for:
//   data-live             the page hears of changes: everything with hx-trigger="changed-elsewhere from:body" asks anew
//   data-pick, -picks-all, -picks-none, data-bulk, data-count   rows that are approved together
//   dialog[data-shown]    was opened by the server; it becomes modal
//   form#answer           the answer; data-correct sends it, form#approve or #approve-dialog approves what is shown
(function () {
  "use strict";

  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // --- live updates -------------------------------------------------------------------------------------------------

  let stream = null, isStale = false, waiting = 0;

  function hear() {
    if (stream || document.hidden) return;
    stream = new EventSource("/events");
    stream.addEventListener("changed", tell);
    stream.addEventListener("ended", () => location.reload());
    // The first connection brings nothing new; one after a break may have missed something.
    stream.addEventListener("open", () => { if (isStale) tell(); isStale = true; });
  }

  // A page that nobody sees needs no connection: a browser has few of them for a server.
  function rest() {
    stream?.close();
    stream = null;
  }

  // Nothing moves under a question that is open, or within a moment of the last time.
  function tell() {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      if (document.querySelector("dialog[open]:modal")) return tell();
      document.body.dispatchEvent(new CustomEvent("changed-elsewhere"));
    }, 250);
  }

  if (document.querySelector("[data-live]")) {
    hear();
    document.addEventListener("visibilitychange", () => (document.hidden ? rest() : hear()));
    addEventListener("pagehide", rest);
  }

  // A button that is pressed is disabled until the answer comes, and loses the focus by that.
  let pressed = "";
  document.addEventListener("submit", (event) => { pressed = event.submitter?.id ?? ""; }, true);

  // Refusals come with a part of the page as well.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr, target } = event.detail;
    if (target?.id === "inbox-list" && xhr.responseText.includes('id="inbox-list"')) {
      event.detail.shouldSwap = true;
      event.detail.isError = false;
      chosen = new Set(all("[data-pick]:checked").map((box) => box.value));
    }
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target?.id === "inbox-list" || event.target?.id === "inbox-list") {
      all("[data-pick]").forEach((box) => { box.checked = chosen.has(box.value); });
      count();
      if (pressed && document.activeElement === document.body) document.getElementById(pressed)?.focus();
      pressed = "";
    }
  });

  // --- choosing rows ------------------------------------------------------------------------------------------------

  let chosen = new Set();

  function count() {
    const boxes = all("[data-pick]"), ticked = boxes.filter((box) => box.checked).length;
    const bar = document.querySelector("[data-bulk]");
    if (!bar) return;
    bar.hidden = ticked === 0;
    all("[data-count]").forEach((place) => {
      place.textContent = place.matches("strong") ? `${ticked} chosen` : ticked === 1 ? "1 approval" : `${ticked} approvals`;
    });
    const every = document.querySelector("[data-picks-all]");
    every.checked = ticked > 0 && ticked === boxes.length;
    every.indeterminate = ticked > 0 && ticked < boxes.length;
  }

  document.addEventListener("change", (event) => {
    if (event.target.matches?.("[data-picks-all]")) {
      all("[data-pick]").forEach((box) => { box.checked = event.target.checked; });
    }
    if (event.target.matches?.("[data-pick], [data-picks-all]")) count();
  });
  document.addEventListener("click", (event) => {
    if (!(event.target instanceof Element) || !event.target.closest("[data-picks-none]")) return;
    all("[data-pick]").forEach((box) => { box.checked = false; });
    count();
    (document.querySelector("[data-picks-all]") ?? document.getElementById("main")).focus();
  });
  // x ticks the row that has the focus.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "x" || event.ctrlKey || event.metaKey || event.altKey) return;
    const box = document.activeElement?.matches("[data-open]") &&
      document.activeElement.closest("tr")?.querySelector("[data-pick]");
    if (!box) return;
    event.preventDefault();
    box.checked = !box.checked;
    count();
  });

  // --- dialogs ------------------------------------------------------------------------------------------------------

  document.addEventListener("click", (event) => {
    if (event.target instanceof Element && event.target.closest("a[data-opens], a[data-closes]")) event.preventDefault();
  });
  // A link that looks like a button is pressed like one.
  document.addEventListener("keydown", (event) => {
    if (event.key !== " " || !(event.target instanceof Element) || !event.target.matches("a[role=button]")) return;
    event.preventDefault();
    event.target.click();
  });
  for (const dialog of all("dialog[data-shown]")) {
    dialog.close();
    dialog.showModal();
    dialog.querySelector("textarea, input:not([type=hidden])")?.focus();
  }

  // --- the answer ---------------------------------------------------------------------------------------------------

  const answer = document.getElementById("answer");

  function isChanged() {
    return answer !== null && answer.querySelector(".is-changed, .is-new") !== null;
  }

  function mark() {
    const changed = isChanged();
    for (const button of all("[data-correct]")) {
      button.classList.toggle("button-primary", changed);
      button.classList.toggle("button-plain", !changed);
    }
  }

  function toField() {
    const field = answer.querySelector("[aria-invalid=true]") ??
      answer.querySelector("input:not([type=hidden]), textarea, select");
    field?.focus();
    const said = document.querySelector("[data-decides-said]");
    if (said) said.textContent = "Change what is wrong, then correct and approve";
  }

  // Before what else hears of it: nothing is sent that the person did not mean.
  addEventListener("click", (event) => {
    if (!(event.target instanceof Element) || answer === null) return;
    if (event.target.closest("[data-correct]") && !isChanged()) {
      event.preventDefault();
      toField();
    }
    const approves = event.target.closest("[form=approve], [data-opens=approve-dialog]");
    if (approves && isChanged()) {
      event.preventDefault();
      event.stopImmediatePropagation();
      const dialog = document.getElementById("changed-dialog");
      dialog.showModal();
      dialog.querySelector("[form=answer]").focus();
    }
  }, true);

  if (answer !== null) {
    // After forms.js has said what is changed.
    for (const name of ["input", "change", "click"]) answer.addEventListener(name, () => setTimeout(mark));
    setTimeout(mark);
    let isSent = false;
    document.addEventListener("submit", () => { isSent = true; });
    addEventListener("beforeunload", (event) => { if (isChanged() && !isSent) event.preventDefault(); });
    addEventListener("pageshow", () => { isSent = false; });
  }
})();
