"use strict";
(() => {
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const shades = bytes(JSON.parse(document.getElementById("palette").textContent));
  const color = (k) => `rgb(${shades[3 * k]},${shades[3 * k + 1]},${shades[3 * k + 2]})`;
  const ramp = [0, 0.25, 0.5, 0.75, 1].map((t) => color(Math.round(254 * t)));
  const short = (value) => Number(value.toPrecision(3)).toString().replace("-", "−");

  function start(figure) {
    const map = JSON.parse(figure.querySelector("script").textContent);
    const canvas = figure.querySelector("canvas");
    const select = figure.querySelector("select");
    const output = figure.querySelector("output");
    const most = figure.querySelector(".most");
    figure.querySelector(".ramp").style.background = `linear-gradient(90deg,${ramp.join(",")})`;
    map.views.forEach((view, k) => {
      view.cells = bytes(view.data);
      view.cols = view.cols || map.cols;
      view.rows = view.rows || map.cols;
      select.add(new Option(view.name, String(k)));
    });
    let at = null;
    let box = null;

    function draw() {
      const view = map.views[Number(select.value)];
      const columns = view.cols.length, rows = view.rows.length;
      const style = getComputedStyle(canvas);
      const pen = canvas.getContext("2d");
      const font = `11px ${style.fontFamily}`;
      pen.font = font;
      const left = 26 + Math.ceil(Math.max(...view.rows.map((name) => pen.measureText(name).width)));
      const room = Math.max(220, canvas.parentElement.clientWidth - left - 8);
      let wide = Math.min(26, Math.max(columns > 300 ? 2 : 3, room / columns));
      if (wide > 3) wide = Math.floor(wide * 2) / 2;
      const high = map.square ? wide : Math.max(6, Math.min(18, 420 / rows));
      const upright = view.cols.some((name) => pen.measureText(name).width > 16);
      const foot = 24 + (upright ? Math.ceil(Math.max(...view.cols.map((name) => pen.measureText(name).width))) : 12);
      const width = left + columns * wide + 8, height = 6 + rows * high + foot;
      const scale = window.devicePixelRatio || 1;
      canvas.width = Math.ceil(width * scale);
      canvas.height = Math.ceil(height * scale);
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
      pen.scale(scale, scale);
      for (let r = 0; r < rows; r += 1) {
        for (let c = 0; c < columns; c += 1) {
          pen.fillStyle = color(view.cells[r * columns + c]);
          pen.fillRect(left + c * wide, 6 + r * high, wide + 0.4, high + 0.4);
        }
      }
      pen.fillStyle = style.color;
      pen.font = font;
      const step = (count, size, need) => [1, 2, 5, 10, 20, 50, 100, 200, 500].find((s) => s * size >= need) || count;
      const shown = (count, every, size, need) => [...Array(count).keys()].filter((k) => ((k + 1) % every === 0 || (k === 0 && (every - 1) * size >= need)));
      pen.textAlign = "right";
      pen.textBaseline = "middle";
      for (const r of shown(rows, step(rows, high, 13), high, 13)) pen.fillText(view.rows[r], left - 5, 6 + (r + 0.5) * high);
      for (const c of shown(columns, step(columns, wide, upright ? 15 : 26), wide, upright ? 15 : 26)) {
        pen.save();
        pen.translate(left + (c + 0.5) * wide, 11 + rows * high);
        if (upright) { pen.rotate(-Math.PI / 2); pen.textAlign = "right"; } else { pen.textAlign = "center"; pen.translate(0, 6); }
        pen.fillText(view.cols[c], 0, 0);
        pen.restore();
      }
      pen.textAlign = "center";
      pen.font = `600 ${font}`;
      pen.fillText(map.column, left + Math.min(columns * wide, room) / 2, height - 8);
      pen.save();
      pen.translate(9, 6 + (rows * high) / 2);
      pen.rotate(-Math.PI / 2);
      pen.fillText(view.row, 0, 0);
      pen.restore();
      if (at) {
        pen.strokeStyle = "#ff2fd0";
        pen.lineWidth = 2;
        pen.strokeRect(left + at.c * wide - 1, 6 + at.r * high - 1, wide + 2, high + 2);
      }
      box = { left, wide, high, rows, columns };
      most.textContent = short(view.max);
    }

    function say(r, c) {
      const view = map.views[Number(select.value)];
      at = { r: Math.max(0, Math.min(box.rows - 1, r)), c: Math.max(0, Math.min(box.columns - 1, c)) };
      const cell = view.cells[at.r * box.columns + at.c];
      const value = cell === 255 ? "missing" : short((cell / 254) ** 2 * view.max);
      output.textContent = `${view.row} ${view.rows[at.r]}, ${map.column} ${view.cols[at.c]}: ${value}`;
      draw();
    }

    const point = (event) => {
      const r = Math.floor((event.offsetY - 6) / box.high), c = Math.floor((event.offsetX - box.left) / box.wide);
      if (r >= 0 && c >= 0 && r < box.rows && c < box.columns && !(at && at.r === r && at.c === c)) say(r, c);
    };
    canvas.addEventListener("pointermove", point);
    canvas.addEventListener("pointerdown", point);
    canvas.addEventListener("keydown", (event) => {
      const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (!move) return;
      event.preventDefault();
      if (at) say(at.r + move[0], at.c + move[1]); else say(0, 0);
    });
    select.addEventListener("change", () => { at = null; draw(); });
    window.addEventListener("resize", draw);
    window.addEventListener("beforeprint", draw);
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    draw();
  }
  document.querySelectorAll("figure.matrix").forEach(start);

  // On paper nothing can be opened: print everything, then close what was closed.
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    opened.forEach((part) => { part.open = true; });
  });
  window.addEventListener("afterprint", () => opened.forEach((part) => { part.open = false; }));
})();
