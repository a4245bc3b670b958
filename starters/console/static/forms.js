// Forms made from a schema: what is changed, lists that grow and shrink, and the way from a field to its place in the
// document and back. See templates/forms.html for the markup.
(function () {
  "use strict";

  const CONTROLS = "input:not([type=hidden]), textarea, select";
  const PLACES = "mark[data-field], rect[data-field]";
  const TURN_MILLISECONDS = 400;
  const NAMED = ["name", "id", "for", "aria-describedby", "aria-labelledby", "data-name", "data-undo", "href"];

  // --- changed ------------------------------------------------------------------------------------------------------

  function valueOf(control) {
    if (control.matches("[data-group]")) return control.querySelector("input:checked")?.value ?? "";
    if (control.type === "checkbox") return String(control.checked);
    return control.value;
  }

  // What the model proposed, as this browser writes it: times lose seconds that are zero.
  function baseOf(control) {
    const initial = control.dataset.initial.replace(/\r\n?/g, "\n");
    if (!control.matches("input") || control.type === "checkbox") return initial;
    const other = control.cloneNode(false);
    other.value = initial;
    return other.value;
  }

  function tellChanged(control) {
    const changed = valueOf(control) !== baseOf(control);
    const around = control.closest(".field, .item");
    around?.classList.toggle("is-changed", changed);
    const undo = around?.querySelector("[data-undo]");
    if (undo) undo.hidden = !changed;
  }

  function undo(button) {
    const control = button.closest(".field, .item")?.querySelector("[data-initial]");
    if (!control) return;
    const base = baseOf(control);
    if (control.matches("[data-group]")) {
      control.querySelectorAll("input").forEach((input) => { input.checked = input.value === base; });
      control.querySelector("input:checked, input")?.focus();
    } else {
      if (control.type === "checkbox") control.checked = base === "true";
      else control.value = base;
      control.focus();
    }
    tellChanged(control);
    announce(button, "Change undone");
  }

  function changedBy(event) {
    if (!(event.target instanceof Element)) return;
    const control = event.target.closest("[data-initial]");
    if (control) tellChanged(control);
  }

  function start(within) {
    [...within.querySelectorAll("[data-initial]")].filter((one) => one.closest("[data-fields]")).forEach(tellChanged);
    within.querySelectorAll("[data-list]").forEach(count);
  }

  // --- lists --------------------------------------------------------------------------------------------------------

  function itemsOf(list) {
    return [...list.querySelectorAll(":scope > [data-items] > [data-item]")];
  }

  function rename(node, from, to) {
    for (const element of [node, ...node.querySelectorAll("*")]) {
      for (const attribute of NAMED) {
        const value = element.getAttribute(attribute);
        if (value !== null && value.includes(from)) element.setAttribute(attribute, renamed(value, from, to));
      }
      if (element instanceof HTMLTemplateElement) [...element.content.children].forEach((child) => rename(child, from, to));
    }
  }

  function renamed(value, from, to) {
    return value.split(" ").map((name) => {
      const start = name.startsWith("#") ? "#" : "";
      const bare = name.slice(start.length);
      const follows = bare.charAt(from.length);
      return bare.startsWith(from) && ["", ".", ":"].includes(follows) ? start + to + bare.slice(from.length) : name;
    }).join(" ");
  }

  function count(list) {
    const items = itemsOf(list), what = list.dataset.what;
    items.forEach((item, number) => {
      const name = `${list.dataset.name}.${number}`;
      if (item.dataset.name !== name) {
        // By way of a name that nobody has: radio buttons of the same name would unset each other.
        rename(item, item.dataset.name, `${name}!`);
        rename(item, `${name}!`, name);
      }
      const label = `${what} ${number + 1}`, lower = what.charAt(0).toLowerCase() + label.slice(1);
      item.querySelector(":scope > .item-head > [data-number]")?.replaceChildren(label);
      item.querySelector(":scope > .item-body > [aria-label]")?.setAttribute("aria-label", label);
      item.querySelector(":scope > [data-remove], :scope > .item-head > [data-remove]")
        ?.setAttribute("aria-label", `Remove ${lower}`);
    });
    list.querySelector(":scope > legend [data-counter]").textContent = String(items.length);
    list.classList.toggle("is-changed", String(items.length) !== list.dataset.count || list.dataset.removed === "true");
    const none = list.querySelector(":scope > .list-end > [data-none]");
    if (none) {
      none.hidden = items.length > 0;
      if (items.length) none.querySelector("input").checked = false;
    }
  }

  function add(button) {
    const list = button.closest("[data-list]");
    const template = list.querySelector(":scope > template[data-blank]");
    const item = template.content.firstElementChild.cloneNode(true);
    item.classList.add("is-new");
    const number = itemsOf(list).length;
    rename(item, `${list.dataset.name}.${list.dataset.slot}`, `${list.dataset.name}.${number}`);
    list.querySelector(":scope > [data-items]").append(item);
    count(list);
    item.querySelector(CONTROLS)?.focus();
    announce(list, `${list.dataset.what} ${number + 1} added`);
  }

  function remove(button) {
    const item = button.closest("[data-item]"), list = item.closest("[data-list]");
    const number = itemsOf(list).indexOf(item);
    item.remove();
    list.dataset.removed = "true";
    count(list);
    const next = itemsOf(list)[Math.min(number, itemsOf(list).length - 1)];
    (next?.querySelector(":scope > [data-remove], :scope > .item-head > [data-remove]") ??
      list.querySelector(":scope > .list-end > [data-add]")).focus();
    announce(list, `${list.dataset.what} ${number + 1} removed`);
  }

  // --- objects that may be missing ------------------------------------------------------------------------------------

  function fill(button) {
    const group = button.closest("[data-optional]");
    const content = group.querySelector(":scope > [data-content]");
    content.replaceChildren(group.querySelector(":scope > template[data-blank]").content.cloneNode(true));
    content.hidden = false;
    group.querySelector(":scope > [data-nothing]").hidden = true;
    group.classList.add("is-changed");
    content.querySelectorAll("[data-list]").forEach(count);
    content.querySelector(CONTROLS)?.focus();
  }

  function clear(button) {
    const group = button.closest("[data-optional]");
    const content = group.querySelector(":scope > [data-content]");
    const nothing = group.querySelector(":scope > [data-nothing]") ?? group.appendChild(nothingLeft(content));
    content.hidden = true;
    if (nothing.kept === undefined) content.replaceChildren();
    nothing.hidden = false;
    nothing.querySelector("button").focus();
    group.classList.add("is-changed");
  }

  // What was there can be had back: its fields are put aside, not thrown away.
  function nothingLeft(content) {
    const line = document.createElement("p"), text = document.createElement("span"), back = document.createElement("button");
    line.className = "nothing";
    line.dataset.nothing = "";
    line.kept = [...content.childNodes];
    text.textContent = "Removed";
    back.type = "button";
    back.className = "button button-plain button-small";
    back.textContent = "Undo";
    back.dataset.restore = "";
    content.replaceChildren();
    line.append(text, back);
    return line;
  }

  function restore(button) {
    const line = button.closest("[data-nothing]"), group = button.closest("[data-optional]");
    const content = group.querySelector(":scope > [data-content]");
    content.replaceChildren(...line.kept);
    content.hidden = false;
    line.remove();
    group.classList.remove("is-changed");
    content.querySelector(CONTROLS)?.focus();
  }

  // --- fields and their places in the document ----------------------------------------------------------------------

  function placesOf(field) {
    return [...document.querySelectorAll(PLACES)].filter((place) => place.dataset.field === field);
  }

  function controlsOf(field) {
    return [...document.querySelectorAll("[data-fields] [data-field]")].filter((one) => one.dataset.field === field);
  }

  function light(field, name, isOn) {
    placesOf(field).forEach((place) => place.classList.toggle(name, isOn));
    controlsOf(field).forEach((control) => control.closest(".field, .item")?.classList.toggle(name, isOn));
  }

  function show(field) {
    document.querySelectorAll(".is-lit").forEach((one) => one.classList.remove("is-lit"));
    if (!field) return;
    light(field, "is-lit", true);
    const [first] = placesOf(field);
    clearTimeout(turning);
    if (first) toPlace(first);
    else turning = setTimeout(turnTo, TURN_MILLISECONDS, field);
  }

  // The value is on another page of the document: its link is followed, unless somebody only passes through.
  function turnTo(field) {
    const link = [...document.querySelectorAll("a[data-elsewhere]")].find((one) => one.dataset.elsewhere === field);
    link?.click();
  }

  function toPlace(place) {
    const frame = place.closest(".document-frame");
    if (!frame) return;
    const box = place.getBoundingClientRect(), around = frame.getBoundingClientRect();
    if (frame.scrollHeight <= frame.clientHeight) return;
    if (box.top >= around.top + 24 && box.bottom <= around.bottom - 24) return;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const top = frame.scrollTop + box.top - around.top - frame.clientHeight / 3;
    frame.scrollTo({ top, behavior: calm ? "auto" : "smooth" });
  }

  let hovered = "", turning = 0;

  function hover(event) {
    const target = event.target instanceof Element ? event.target : null;
    const own = target?.closest(PLACES) ?? target?.closest("[data-fields] .field, [data-fields] .item-line")
      ?.querySelector("[data-field]");
    const field = own?.dataset.field ?? "";
    if (field === hovered) return;
    if (hovered) light(hovered, "is-near", false);
    if (field) light(field, "is-near", true);
    hovered = field;
  }

  function toControl(place) {
    const control = controlsOf(place.dataset.field).find((one) => one.getClientRects().length);
    if (!control) return;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    control.focus({ preventScroll: true });
    control.scrollIntoView({ block: "center", behavior: calm ? "auto" : "smooth" });
  }

  // --- events -------------------------------------------------------------------------------------------------------

  function announce(element, text) {
    const said = element.closest("[data-fields]")?.querySelector("[data-said]");
    if (said) said.textContent = text;
  }

  const ACTIONS = [["[data-add]", add], ["[data-remove]", remove], ["[data-fill]", fill], ["[data-clear]", clear],
    ["[data-restore]", restore], ["[data-undo]", undo]];

  document.addEventListener("click", (event) => {
    if (!(event.target instanceof Element)) return;
    for (const [selector, act] of ACTIONS) {
      const button = event.target.closest(selector);
      if (button) return act(button);
    }
    const place = event.target.closest(PLACES);
    if (place && !String(getSelection())) toControl(place);
    const link = event.target.closest("[data-summary] a[href^='#']");
    if (link) {
      const target = document.getElementById(decodeURIComponent(link.hash.slice(1))) ??
        document.getElementById(link.hash.slice(1));
      if (target) {
        event.preventDefault();
        target.focus();
        target.scrollIntoView({ block: "center" });
      }
    }
  });
  document.addEventListener("input", changedBy);
  document.addEventListener("change", changedBy);
  document.addEventListener("mouseover", hover);
  document.addEventListener("focusin", (event) => {
    const control = event.target instanceof Element ? event.target.closest("[data-fields] [data-field]") : null;
    if (control) show(control.dataset.field);
    else if (event.target instanceof Element && event.target.closest("[data-fields]")) show("");
  });
  document.addEventListener("htmx:load", (event) => {
    start(event.target instanceof Element ? event.target : document);
    const control = document.activeElement?.closest("[data-fields] [data-field]");
    if (control && !document.querySelector("mark.is-lit, rect.is-lit")) show(control.dataset.field);
  });
  start(document);
})();
