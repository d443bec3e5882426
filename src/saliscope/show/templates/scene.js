"use strict";
(() => {
  const TUBE = 2.2, THIN = 0.8, RINGS = ["#6a1b9a", "#00796b", "#c2185b", "#5d4037", "#111111"];
  const HALF = 6;

  function start(figure) {
    const data = JSON.parse(figure.querySelector("script").textContent);
    const canvas = figure.querySelector("canvas"), output = figure.querySelector("output");
    const pen = canvas.getContext("2d");
    const ramp = data.ramp.map((shade, k) => `${shade} ${(100 * k) / (data.ramp.length - 1)}%`);
    figure.querySelector(".ramp").style.background = `linear-gradient(90deg,${ramp.join(",")})`;
    const shown = data.marked.map(() => true);
    const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    let turn, zoom, spinning = false, at = -1, places = [];

    function home() { turn = [1, 0, 0, 0, 1, 0, 0, 0, 1]; zoom = 1; }
    home();

    // Rotation about the screen's axes, in radians.
    function rotate(across, down) {
      const a = Math.cos(across), b = Math.sin(across), c = Math.cos(down), d = Math.sin(down);
      const by = [a, 0, b, b * d, c, -a * d, -b * c, d, a * c];
      const old = turn;
      turn = [0, 1, 2].flatMap((r) => [0, 1, 2].map((k) => by[3 * r] * old[k] + by[3 * r + 1] * old[3 + k] + by[3 * r + 2] * old[6 + k]));
    }

    const put = ([x, y, z]) => [0, 3, 6].map((r) => turn[r] * x + turn[r + 1] * y + turn[r + 2] * z);

    // Catmull-Rom through the points of one stretch; each residue owns the half on either side.
    function stretch(points, first, last, paint, width, list) {
      const get = (i) => points[Math.max(first, Math.min(last, i))];
      for (let i = first; i < last; i += 1) {
        const [p, q, r, s] = [get(i - 1), get(i), get(i + 1), get(i + 2)];
        let before = q;
        for (let k = 1; k <= HALF; k += 1) {
          const t = k / HALF, t2 = t * t, t3 = t2 * t;
          const now = [0, 1, 2].map((d) => 0.5 * (2 * q[d] + (r[d] - p[d]) * t + (2 * p[d] - 5 * q[d] + 4 * r[d] - s[d]) * t2 + (3 * q[d] - p[d] - 3 * r[d] + s[d]) * t3));
          list.push({ a: before, b: now, z: (before[2] + now[2]) / 2, paint: paint(k * 2 <= HALF ? i : i + 1), width });
          before = now;
        }
      }
    }

    function fog(shade, depth) {
      const part = Math.max(0, Math.min(0.62, 0.31 - depth * 0.36));
      const rgb = [1, 3, 5].map((k) => parseInt(shade.slice(k, k + 2), 16));
      return `rgb(${rgb.map((v) => Math.round(v + (255 - v) * part)).join(",")})`;
    }

    function draw() {
      const box = canvas.getBoundingClientRect(), scale = window.devicePixelRatio || 1;
      if (!box.width) return;
      canvas.width = Math.round(box.width * scale);
      canvas.height = Math.round(box.height * scale);
      pen.setTransform(scale, 0, 0, scale, 0, 0);
      pen.fillStyle = "#ffffff";
      pen.fillRect(0, 0, box.width, box.height);
      const size = (zoom * Math.min(box.width, box.height)) / (1.9 * data.reach);
      const x = (p) => box.width / 2 + p[0] * size, y = (p) => box.height / 2 - p[1] * size;
      const list = [];
      data.others.forEach((other) => {
        const points = other.points.map(put);
        if (other.joined) stretch(points, 0, points.length - 1, () => "#b9c0c8", THIN, list);
        else points.forEach((p) => list.push({ a: p, z: p[2], paint: "#7d6fb0", ball: 1.5, name: other.name }));
      });
      const chain = data.points.map(put);
      data.breaks.forEach((first, k) => {
        const last = (data.breaks[k + 1] ?? chain.length) - 1;
        if (first === last) list.push({ a: chain[first], z: chain[first][2], paint: data.colors[first], ball: 1.2 });
        stretch(chain, first, last, (i) => data.colors[i], TUBE, list);
      });
      list.sort((a, b) => a.z - b.z);
      list.forEach((part) => {
        const shade = fog(part.paint, part.z / data.reach);
        if (part.ball) {
          pen.beginPath();
          pen.arc(x(part.a), y(part.a), part.ball * size, 0, 7);
          pen.fillStyle = shade; pen.fill();
          pen.strokeStyle = "#1f2328"; pen.lineWidth = 0.7; pen.stroke();
          return;
        }
        const line = (style, width, cap) => {
          pen.strokeStyle = style; pen.lineWidth = width; pen.lineCap = cap;
          pen.beginPath(); pen.moveTo(x(part.a), y(part.a)); pen.lineTo(x(part.b), y(part.b)); pen.stroke();
        };
        if (part.width === TUBE) line("rgba(31,35,40,.45)", part.width * size + 1.8, "butt");
        line(shade, Math.max(1, part.width * size), "round");
      });
      data.marked.forEach((group, k) => {
        if (!shown[k]) return;
        group.at.forEach((i) => {
          pen.beginPath();
          pen.arc(x(chain[i]), y(chain[i]), 1.9 * size, 0, 7);
          pen.strokeStyle = RINGS[k % RINGS.length]; pen.lineWidth = 2.2; pen.stroke();
        });
      });
      figure.querySelectorAll("label").forEach((label, k) => { label.style.color = RINGS[k % RINGS.length]; });
      if (at >= 0) {
        pen.beginPath();
        pen.arc(x(chain[at]), y(chain[at]), 2.6 * size, 0, 7);
        pen.strokeStyle = "#ff2fd0"; pen.lineWidth = 3; pen.stroke();
      }
      pen.fillStyle = "#1f2328"; pen.textAlign = "center"; pen.textBaseline = "middle";
      pen.font = "600 11px sans-serif";
      data.others.filter((o) => !o.joined).forEach((o) => o.points.map(put).forEach((p) => pen.fillText(o.name, x(p), y(p) - 2.6 * size - 5)));
      places = chain.map((p) => [x(p), y(p), p[2]]);
    }

    function say(i) {
      if (i === at) return;
      at = i;
      const groups = i < 0 ? [] : data.marked.filter((g) => g.at.includes(i)).map((g) => g.name);
      output.textContent = i < 0 ? "" : `${data.names[i]}: ${data.told[i]}${groups.length ? ` (${groups.join(", ")})` : ""}`;
      draw();
    }

    function find(event) {
      const box = canvas.getBoundingClientRect();
      const px = event.clientX - box.left, py = event.clientY - box.top;
      let best = -1, near = 14 * 14;
      places.forEach(([x, y, z], i) => {
        const apart = (x - px) ** 2 + (y - py) ** 2;
        if (apart < near - 1 || (apart < near + 1 && best >= 0 && z > places[best][2])) { near = Math.min(near, apart); best = i; }
      });
      say(best);
    }

    const fingers = new Map();
    let spread = 0;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, event);
      spread = 0;
      find(event);
    });
    canvas.addEventListener("pointermove", (event) => {
      const before = fingers.get(event.pointerId);
      if (!before) { find(event); return; }
      fingers.set(event.pointerId, event);
      if (fingers.size === 2) {
        const [a, b] = [...fingers.values()];
        const now = Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
        if (spread) grow(now / spread);
        spread = now;
      } else rotate((event.clientX - before.clientX) * 0.01, (event.clientY - before.clientY) * 0.01);
      draw();
    });
    const lift = (event) => { fingers.delete(event.pointerId); spread = 0; };
    canvas.addEventListener("pointerup", lift);
    canvas.addEventListener("pointercancel", lift);
    canvas.addEventListener("pointerleave", (event) => { if (!fingers.size && event.pointerType === "mouse") say(-1); });
    const grow = (by) => { zoom = Math.max(0.4, Math.min(12, zoom * by)); };
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      grow(Math.exp(-event.deltaY * 0.0015));
      draw();
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => {
      const size = data.points.length;
      const act = {
        ArrowLeft: () => rotate(-0.12, 0), ArrowRight: () => rotate(0.12, 0), ArrowUp: () => rotate(0, -0.12), ArrowDown: () => rotate(0, 0.12),
        "+": () => grow(1.2), "=": () => grow(1.2), "-": () => grow(1 / 1.2), "0": home,
        ".": () => say((at + 1) % size), ",": () => say((at + size - 1 + (at < 0 ? 1 : 0)) % size), Escape: () => say(-1),
      }[event.key];
      if (!act) return;
      event.preventDefault();
      act();
      draw();
    });
    function step() { if (!spinning) return; rotate(0.012, 0); draw(); requestAnimationFrame(step); }
    figure.querySelectorAll("button").forEach((button) => button.addEventListener("click", () => {
      const what = button.dataset.do;
      if (what === "in") grow(1.25);
      if (what === "out") grow(0.8);
      if (what === "home") { home(); say(-1); }
      if (what === "spin") {
        spinning = !spinning && !still;
        if (still) rotate(0.5, 0);
        button.setAttribute("aria-pressed", String(spinning));
        step();
      }
      draw();
    }));
    figure.querySelectorAll("input[data-group]").forEach((input) => input.addEventListener("change", () => {
      shown[Number(input.dataset.group)] = input.checked;
      draw();
    }));
    window.addEventListener("resize", draw);
    window.addEventListener("beforeprint", draw);
    draw();
  }
  document.querySelectorAll("figure.molecule").forEach(start);
})();
