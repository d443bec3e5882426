"use strict";
(() => {
  function start(figure) {
    const cells = JSON.parse(figure.querySelector("script").textContent);
    const line = figure.querySelector(".strip-line");
    const view = figure.querySelector(".strip-view");
    const place = figure.querySelector(".strip-place");
    const output = figure.querySelector("output");
    const letters = [...figure.querySelectorAll(".strip-text span")];
    const last = cells.length - 1;
    let at = 0;

    function go(to) {
      letters[at].classList.remove("strip-now");
      at = Math.max(0, Math.min(last, to));
      const cell = cells[at];
      figure.style.setProperty("--k", String(at));
      line.setAttribute("aria-valuenow", String(at + 1));
      line.setAttribute("aria-valuetext", cell.say);
      output.textContent = cell.say;
      letters[at].classList.add("strip-now");
      place.hidden = cell.left === null;
      if (place.hidden) return;
      place.style.left = `${cell.left}%`;
      place.style.width = `${cell.width}%`;
      place.classList.toggle("strip-wrong", cell.wrong);
      view.scrollLeft = ((cell.left + cell.width / 2) / 100) * line.offsetWidth - view.clientWidth / 2;
    }

    function mistake(step) {
      for (let k = at + step; k >= 0 && k <= last; k += step) if (cells[k].wrong) return k;
      return at;
    }

    line.addEventListener("keydown", (event) => {
      const to = {
        ArrowRight: () => at + 1, ArrowUp: () => at + 1, ArrowLeft: () => at - 1, ArrowDown: () => at - 1,
        Home: () => 0, End: () => last, PageDown: () => mistake(1), PageUp: () => mistake(-1),
      }[event.key];
      if (!to || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      go(to());
    });
    figure.querySelector(".strip-back").addEventListener("click", () => go(at - 1));
    figure.querySelector(".strip-on").addEventListener("click", () => go(at + 1));
    letters.forEach((letter, k) => letter.addEventListener("click", () => { go(k); line.focus(); }));
    go(0);
  }
  document.querySelectorAll("figure.strip").forEach(start);
})();
