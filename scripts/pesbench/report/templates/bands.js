// Band structures: a material's curves come from a file of its own beside the page, when it is asked for.
const materials = new Map();
function pesbenchPhonons(data) { materials.set(data.id, data); }

for (const viewer of document.querySelectorAll(".bands")) {
  const find = (selector) => viewer.querySelector(selector);
  const select = find("select"), search = find("input"), legend = find(".curves"), box = find(".drawing");
  const told = find("output"), failed = find(".notes"), all = Array.from(select.options);
  const H = 460, LEFT = 58, TOP = 12, BOTTOM = 34;
  let data = null, hidden = new Set(), range = null, drag = null, W, SPLIT, DOS, RIGHT;

  const make = (name, attributes, parent, text) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    parent.append(node);
    return node;
  };
  const shown = () => data.curves.filter((curve) => !hidden.has(curve.name));
  const look = (curve) => ({ class: curve.dash ? "curve" : "curve dft", stroke: curve.color, "stroke-dasharray": curve.dash });
  const thz = (milli) => (milli / 1000).toFixed(3).replace("-", "−");

  // Where things lie: x is the distance along the path, y the frequency in THz.
  const acrossOf = (x) => LEFT + (SPLIT - LEFT) * (x - range.x0) / (range.x1 - range.x0);
  const downOf = (y) => TOP + (H - TOP - BOTTOM) * (range.y1 - y) / (range.y1 - range.y0);
  const xOf = (across) => range.x0 + (across - LEFT) / (SPLIT - LEFT) * (range.x1 - range.x0);
  const yOf = (down) => range.y1 - (down - TOP) / (H - TOP - BOTTOM) * (range.y1 - range.y0);
  function whole() {
    let low = 0, high = 0;
    for (const curve of data.curves) for (const segment of curve.bands) for (const point of segment) {
      low = Math.min(low, point[0]); high = Math.max(high, point[point.length - 1]);
    }
    const room = 0.04 * (high - low) / 1000 || 1;
    return { x0: data.x[0][0], x1: data.x.at(-1).at(-1), y0: low / 1000 - (low < -50 ? room : 0), y1: high / 1000 + room };
  }
  function step(span) {
    const raw = span / 10, unit = 10 ** Math.floor(Math.log10(raw));
    return unit * [1, 2, 5, 10].find((factor) => factor * unit >= raw);
  }

  function draw(width = box.clientWidth) {
    box.replaceChildren();
    if (!data || !data.curves.length) return;
    W = Math.max(520, width);  // one unit a pixel, so that texts keep their size
    RIGHT = W - 12; SPLIT = Math.round(0.77 * W); DOS = SPLIT + 20;
    const svg = make("svg", { class: "plot", viewBox: `0 0 ${W} ${H}`, tabindex: 0, role: "img" }, box);
    svg.setAttribute("aria-label", `Band structure and density of states of ${data.title}: ` +
      shown().map((curve) => curve.title).join(", "));
    const clip = make("clipPath", { id: "bands-clip" }, svg), height = H - TOP - BOTTOM;
    make("rect", { x: LEFT, y: TOP, width: SPLIT - LEFT, height }, clip);
    make("rect", { x: DOS, y: TOP, width: RIGHT - DOS, height }, clip);
    const by = step(range.y1 - range.y0), decimals = Math.max(0, -Math.floor(Math.log10(by) + 1e-9));
    for (let y = Math.ceil(range.y0 / by) * by; y <= range.y1; y += by) {
      const zero = Math.abs(y) < by / 1e6, line = { class: zero ? "zero" : "grid", y1: downOf(y), y2: downOf(y) };
      make("line", { ...line, x1: LEFT, x2: SPLIT }, svg);
      make("line", { ...line, x1: DOS, x2: RIGHT }, svg);
      const text = (zero ? 0 : y).toFixed(decimals).replace("-", "−");
      make("text", { class: "tick", x: LEFT - 6, y: downOf(y) + 4, "text-anchor": "end" }, svg, text);
    }
    for (const [x, label] of data.ticks) {
      const across = acrossOf(x);
      if (across < LEFT - 0.5 || across > SPLIT + 0.5) continue;
      make("line", { class: "corner", x1: across, x2: across, y1: TOP, y2: H - BOTTOM }, svg);
      make("text", { class: "tick", x: across, y: H - BOTTOM + 16, "text-anchor": "middle" }, svg, label);
    }
    const inside = make("g", { "clip-path": "url(#bands-clip)" }, svg);
    const most = Math.max(...shown().flatMap((curve) => curve.dos[1]), 1e-9);
    for (const curve of shown().reverse()) {
      curve.bands.forEach((segment, s) => make("path", { ...look(curve), d: segment[0].map((_, band) => "M" + segment.map(
        (point, q) => `${acrossOf(data.x[s][q]).toFixed(1)} ${downOf(point[band] / 1000).toFixed(1)}`).join("L")).join("") }, inside));
      const states = curve.dos[0].map((milli, i) =>
        `${(DOS + (RIGHT - DOS - 6) * curve.dos[1][i] / most).toFixed(1)} ${downOf(milli / 1000).toFixed(1)}`);
      if (states.length) make("path", { ...look(curve), d: "M" + states.join("L") }, inside);
    }
    make("rect", { class: "box", x: LEFT, y: TOP, width: SPLIT - LEFT, height }, svg);
    make("rect", { class: "box", x: DOS, y: TOP, width: RIGHT - DOS, height }, svg);
    make("text", { class: "axis", x: (DOS + RIGHT) / 2, y: H - BOTTOM + 16, "text-anchor": "middle" }, svg, "States (1/THz)");
    const middle = (TOP + H - BOTTOM) / 2;
    make("text", { class: "axis", x: 14, y: middle, "text-anchor": "middle", transform: `rotate(-90 14 ${middle})` }, svg,
      "Frequency (THz)");
    make("circle", { class: "here", r: 4, visibility: "hidden" }, svg);
    make("rect", { class: "zoom", visibility: "hidden" }, svg);
    svg.addEventListener("pointerdown", (event) => { drag = place(event); svg.setPointerCapture(event.pointerId); });
    svg.addEventListener("pointermove", (event) => (drag ? stretch(place(event)) : point(event)));
    svg.addEventListener("pointerup", (event) => release(place(event)));
    svg.addEventListener("pointercancel", () => { drag = null; draw(); });
    svg.addEventListener("pointerleave", () => { tip.hidden = true; box.querySelector(".here").setAttribute("visibility", "hidden"); });
    svg.addEventListener("dblclick", () => zoom("whole"));
    svg.addEventListener("keydown", (event) => {
      const deed = { "+": "in", "=": "in", "-": "out", 0: "whole", ArrowUp: "up", ArrowDown: "down" }[event.key];
      if (deed) { event.preventDefault(); zoom(deed); box.firstChild.focus(); }
    });
  }
  function place(event) {
    const rect = box.firstChild.getBoundingClientRect();
    return { x: (event.clientX - rect.left) * W / rect.width, y: (event.clientY - rect.top) * H / rect.height };
  }

  // Zoom: a dragged frame, buttons, or keys.
  const within = (value, low, high) => Math.min(Math.max(value, low), high);
  function frame(to) {
    const dos = drag.x > SPLIT, low = dos ? DOS : LEFT, high = dos ? RIGHT : SPLIT;
    const x = [drag.x, to.x].map((v) => within(v, low, high)).sort((a, b) => a - b);
    const y = [drag.y, to.y].map((v) => within(v, TOP, H - BOTTOM)).sort((a, b) => a - b);
    return { dos, x, y };
  }
  function stretch(to) {
    const { x, y } = frame(to), node = box.querySelector(".zoom");
    const attributes = { x: x[0], y: y[0], width: x[1] - x[0], height: y[1] - y[0], visibility: "visible" };
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    tip.hidden = true;
  }
  function release(to) {
    if (!drag) return;
    const { dos, x, y } = frame(to);
    drag = null;
    if (y[1] - y[0] < 6) return draw();
    const wide = !dos && x[1] - x[0] > 6;
    range = { x0: wide ? xOf(x[0]) : range.x0, x1: wide ? xOf(x[1]) : range.x1, y0: yOf(y[1]), y1: yOf(y[0]) };
    draw();
  }
  function zoom(deed) {
    const span = range.y1 - range.y0, part = { in: [0.15, -0.15], out: [-0.2, 0.2], up: [0.2, 0.2], down: [-0.2, -0.2] }[deed];
    range = deed === "whole" ? whole() : { ...range, y0: range.y0 + part[0] * span, y1: range.y1 + part[1] * span };
    draw();
  }

  // Hover: the nearest curve, and what the others say of the same q-point and band.
  function point(event) {
    const at = place(event), here = box.querySelector(".here");
    const best = at.x < SPLIT + 8 ? nearestBand(at) : nearestState(at);
    here.setAttribute("visibility", best ? "visible" : "hidden");
    tip.hidden = !best;
    if (!best) return;
    here.setAttribute("cx", best.x); here.setAttribute("cy", best.y);
    tip.textContent = best.text;
    const below = event.clientY + 16 + tip.offsetHeight < innerHeight;
    tip.style.left = `${within(event.clientX + 14, 4, innerWidth - tip.offsetWidth - 4)}px`;
    tip.style.top = `${below ? event.clientY + 16 : event.clientY - 12 - tip.offsetHeight}px`;
  }
  function nearestBand(at) {
    let best = null;
    data.x.forEach((xs, s) => xs.forEach((x, q) => {
      const across = acrossOf(x), away = Math.abs(across - at.x);
      if (across < LEFT - 1 || across > SPLIT + 1 || away > 20) return;
      for (const curve of shown()) curve.bands[s][q].forEach((milli, band) => {
        const down = downOf(milli / 1000), distance = Math.hypot(away, down - at.y);
        if (distance < 30 && (!best || distance < best.distance)) best = { distance, x: across, y: down, curve, s, q, band };
      });
    }));
    if (!best) return null;
    const { s, q, band, curve } = best, [from, to] = [data.ticks[s], data.ticks[s + 1]];
    const along = Math.round(100 * (data.x[s][q] - from[0]) / (to[0] - from[0]));
    const ends = [from[1].split("|").at(-1), to[1].split("|")[0]];
    const where = along === 0 ? ends[0] : along === 100 ? ends[1] : `${along} % of the way from ${ends[0]} to ${ends[1]}`;
    const lines = shown().map((other) => `${other === curve ? "▸ " : ""}${other.title}: ${thz(other.bands[s][q][band])} THz`);
    best.text = [`Band ${band + 1} at ${where}`, ...lines].join("\n");
    return best;
  }
  function nearestState(at) {
    const most = Math.max(...shown().flatMap((curve) => curve.dos[1]), 1e-9);
    let best = null;
    for (const curve of shown()) curve.dos[0].forEach((milli, i) => {
      const x = DOS + (RIGHT - DOS - 6) * curve.dos[1][i] / most, y = downOf(milli / 1000), distance = Math.hypot(x - at.x, y - at.y);
      if (y < TOP || y > H - BOTTOM || distance > 30 || (best && distance >= best.distance)) return;
      best = { distance, x, y, text: `${curve.title}\n${thz(milli)} THz: ${curve.dos[1][i].toFixed(3)} states/THz` };
    });
    return best;
  }

  // Choose a material: by the list, the search box, the buttons, or a point of the parity plots.
  function show(id) {
    data = materials.get(id);
    hidden = new Set(Array.from(hidden).filter((name) => data.curves.some((curve) => curve.name === name)));
    legend.replaceChildren(...data.curves.map((curve) => {
      const label = document.createElement("label"), tick = document.createElement("input");
      tick.type = "checkbox"; tick.checked = !hidden.has(curve.name); tick.value = curve.name;
      tick.addEventListener("change", () => { hidden[tick.checked ? "delete" : "add"](curve.name); draw(); });
      label.append(tick);
      const sample = make("svg", { class: "sample", viewBox: "0 0 36 8", "aria-hidden": true }, label);
      make("path", { ...look(curve), d: "M0 4H36" }, sample);
      label.append(curve.title);
      return label;
    }));
    failed.replaceChildren(...data.failed.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
    told.textContent = `${data.title}: ${data.curves.length ? "" : "no band structure"}` +
      data.curves.map((curve) => `${curve.title} up to ${thz(curve.max)} THz`).join("; ") + ".";
    if (data.curves.length) range = whole();
    draw();
  }
  function choose(id) {
    if (!id) return;
    select.value = id;
    if (materials.has(id)) return show(id);
    const script = document.createElement("script"), option = all.find((o) => o.value === id);
    script.src = `${viewer.dataset.folder}/${encodeURIComponent(option.dataset.file)}`;
    script.onload = () => { if (select.value === id) show(id); };
    script.onerror = () => { told.textContent = `${option.dataset.file} is not there: keep the folder "${viewer.dataset.folder}" beside this page.`; };
    document.head.append(script);
  }
  search.addEventListener("input", () => {
    const words = plain(search.value).split(/\s+/).filter(Boolean), current = select.value;
    const found = all.filter((option) => words.every((word) => plain(option.textContent).includes(word)));
    select.replaceChildren(...found);
    if (!found.length) { told.textContent = "No such material in this run."; return; }
    choose(found.some((option) => option.value === current) ? current : found[0].value);
  });
  select.addEventListener("change", () => choose(select.value));
  addEventListener("resize", () => draw());
  addEventListener("beforeprint", () => draw(1000));
  addEventListener("afterprint", () => draw());
  viewer.addEventListener("click", (event) => {
    const deed = event.target.dataset.deed;
    const next = select.options[select.selectedIndex + { previous: -1, next: 1 }[deed]];
    if (next) choose(next.value);
    else if (["in", "out", "whole"].includes(deed) && data && data.curves.length) zoom(deed);
  });
  document.addEventListener("click", (event) => {
    const mark = event.target.closest && event.target.closest(".pt");
    if (!mark || !all.some((option) => option.value === mark.dataset.key)) return;
    search.value = "";
    select.replaceChildren(...all);
    choose(mark.dataset.key);
    viewer.scrollIntoView({ block: "nearest" });
  });
  if (all.length) choose(select.value);
}
