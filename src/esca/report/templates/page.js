document.documentElement.classList.add("scripted");

// Tables: a click on a heading sorts each group of rows by that column.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  const number = (row, column) => {
    const text = row.cells[column].textContent.replace("−", "-").replace("∞", "Infinity");
    return Number.isNaN(parseFloat(text)) ? -Infinity : parseFloat(text);
  };
  heads.forEach((head, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.title = "Sort by this column";
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const falling = head.getAttribute("aria-sort") !== "descending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      for (const body of table.tBodies) {
        const rows = [...body.rows].filter((row) => !row.classList.contains("bits"));
        rows.sort((a, b) => (falling ? 1 : -1) * (number(b, index + 1) - number(a, index + 1)));
        body.append(...rows);
      }
    });
  });
}

// Pictures: fp32 in place of a method's picture while it is pressed.
for (const picture of document.querySelectorAll("img.held")) {
  const own = picture.src;
  const plain = picture.closest(".strip").querySelector("img.fp32").src;
  picture.draggable = false;
  picture.addEventListener("pointerdown", () => { picture.src = plain; });
  for (const end of ["pointerup", "pointerleave", "pointercancel"]) {
    picture.addEventListener(end, () => { picture.src = own; });
  }
}

// Clips stand still for those who asked for less motion.
if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
  for (const clip of document.querySelectorAll("video")) { clip.autoplay = false; clip.pause(); }
}
