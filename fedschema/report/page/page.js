"use strict";
for (const label of document.querySelectorAll(".filter")) {
  const input = label.querySelector("input");
  const rows = document.getElementById(input.dataset.of).tBodies[0].rows;
  const told = label.querySelector("output");
  label.hidden = false;
  input.addEventListener("input", () => {
    const wanted = input.value.trim().toLowerCase();
    let shown = 0;
    for (const row of rows) {
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
      shown += !row.hidden;
    }
    told.textContent = wanted ? ` ${shown} of ${rows.length}` : "";
  });
}
for (const table of document.querySelectorAll("table.sortable")) {
  for (const head of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const value = (row) => row.cells[head.cellIndex].dataset.sort ?? row.cells[head.cellIndex].textContent.trim();
      const order = new Intl.Collator(undefined, { numeric: true });
      const rows = [...table.tBodies[0].rows].sort((a, b) => order.compare(value(a), value(b)) * (up ? 1 : -1));
      table.tBodies[0].append(...rows);
    });
  }
}
let pinned = null;
for (const button of document.querySelectorAll("[popovertarget]")) {
  const why = document.getElementById(button.getAttribute("popovertarget"));
  if (!why.showPopover) continue;
  const show = () => { if (!why.matches(":popover-open")) why.showPopover({ source: button }); };
  const hide = () => { if (pinned !== why && why.matches(":popover-open")) why.hidePopover(); };
  button.addEventListener("mouseenter", show);
  button.addEventListener("mouseleave", (event) => { if (!why.contains(event.relatedTarget)) hide(); });
  why.addEventListener("mouseleave", hide);
  button.addEventListener("focus", () => { if (button.matches(":focus-visible")) show(); });
  button.addEventListener("blur", () => { pinned = null; hide(); });
  button.addEventListener("click", (event) => {
    event.preventDefault();
    pinned = pinned === why ? null : why;
    if (pinned) show(); else hide();
  });
  why.addEventListener("toggle", (event) => { if (event.newState === "closed" && pinned === why) pinned = null; });
}
