// The photograph with boxes over it: hover, tap or step through them with the arrow keys.

const SVG = "http://www.w3.org/2000/svg";

/** Make an element: element("p", {class: "a"}, "text", child, ...). */
function element(name, attributes = {}, ...children) {
  const node = ["svg", "g", "path", "image"].includes(name)
    ? document.createElementNS(SVG, name)
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== undefined));
  return node;
}

/** Make the photograph. `describe(i)` returns the lines of text about box i.
 *
 *  `show({layers, map})` draws: layers = [{kind, label, items: [{i, box, points?}]}], of which those with a
 *  `passive: true` cannot be hovered, and those with a `thin: true` have no dark edge; an item with a `path` is
 *  drawn as that instead of its box; map = {picture, box} lies between photograph and boxes. */
function makePicture(data, describe) {
  const svg = element("svg", { viewBox: `0 0 ${data.width} ${data.height}`, "aria-hidden": "true" });
  const tip = element("div", { class: "tip", hidden: true });
  const stage = element("div", { class: "stage" }, element("img", { src: data.photo, alt: `The photograph ${data.name}` }), svg, tip);
  const scroller = element(
    "div",
    {
      class: "scroller", tabindex: "0", role: "group",
      "aria-label": "Photograph with boxes. Arrow keys step through the boxes, best first; Escape lets go.",
    },
    stage,
  );
  const legend = element("div", { class: "legend" });
  const hint = element("p", { class: "hint" }, "Point at a box, tap it, or press an arrow key here.");
  const zoom = element("label", { class: "zoom" }, "Zoom ");
  zoom.append(
    element(
      "select",
      { onchange: (event) => (stage.style.width = `${100 * event.target.value}%`) },
      ...[1, 2, 3, 4].map((times) => element("option", { value: times }, `${times} ×`)),
    ),
  );
  const node = element("figure", { class: "picture" }, element("div", { class: "bar" }, legend, zoom), scroller, hint);
  const hiddenKinds = new Set();
  let current = { layers: [] };
  let shown = []; // the items that can be chosen
  let active = -1;

  function draw() {
    const parts = [];
    stage.classList.toggle("mapped", Boolean(current.map));
    if (current.map) {
      const [x1, y1, x2, y2] = current.map.box;
      parts.push(
        element("image", {
          href: current.map.picture, x: x1, y: y1, width: x2 - x1, height: y2 - y1,
          preserveAspectRatio: "none", class: "map",
        }),
      );
    }
    shown = [];
    // Among hundreds of boxes thin lines leave something of the photograph.
    const many = current.layers.reduce((sum, layer) => sum + layer.items.length, 0) > 150;
    svg.classList.toggle("many", many);
    for (const layer of current.layers) {
      if (hiddenKinds.has(layer.kind)) continue;
      const line = layer.items.map(({ box, path }) => path ?? outline(box)).join("");
      if (!layer.thin) parts.push(element("path", { d: line, class: "halo" }));
      parts.push(element("path", { d: line, class: `box ${layer.kind}` }));
      const dots = layer.items.flatMap(({ points }) => points || []);
      if (dots.length) parts.push(element("path", { d: dots.map(([x, y]) => `M${x} ${y}h0`).join(""), class: "points" }));
      if (!layer.passive) shown.push(...layer.items);
    }
    parts.push(element("path", { class: "chosen-halo" }), element("path", { class: "chosen" }));
    svg.replaceChildren(...parts);
    choose(-1);
  }

  function outline([x1, y1, x2, y2]) {
    return `M${x1} ${y1}H${x2}V${y2}H${x1}Z`;
  }

  function drawLegend() {
    legend.replaceChildren(
      ...current.layers.map((layer) =>
        element(
          "label",
          { class: `key ${layer.kind}` },
          element("input", {
            type: "checkbox", checked: !hiddenKinds.has(layer.kind),
            onchange: (event) => {
              if (event.target.checked) hiddenKinds.delete(layer.kind);
              else hiddenKinds.add(layer.kind);
              draw();
            },
          }),
          element("span", { class: "swatch" }),
          ` ${layer.label} (${layer.items.length})`,
        ),
      ),
    );
  }

  /** Show the numbers of the box at a place in `shown`; -1 for none. */
  function choose(place, announce = false) {
    active = place;
    const [halo, line] = [svg.querySelector(".chosen-halo"), svg.querySelector(".chosen")];
    const item = shown[place];
    tip.hidden = !item;
    for (const path of [halo, line]) path.setAttribute("d", item ? outline(item.box) : "");
    if (!item) return;
    const lines = describe(item.i);
    tip.replaceChildren(...lines.map((text, row) => element(row ? "div" : "strong", {}, text)));
    const scale = stage.clientWidth / data.width;
    const right = item.box[2] * scale + 8, left = item.box[0] * scale - tip.offsetWidth - 8;
    const x = right + tip.offsetWidth <= stage.clientWidth ? right : left >= 0 ? left : stage.clientWidth - tip.offsetWidth;
    const y = Math.min(item.box[1] * scale, stage.clientHeight - tip.offsetHeight);
    tip.style.left = `${Math.max(0, x)}px`;
    tip.style.top = `${Math.max(0, y)}px`;
    if (announce) {
      document.getElementById("status").textContent = lines.join("; ");
      const [cx, cy] = [((item.box[0] + item.box[2]) / 2) * scale, ((item.box[1] + item.box[3]) / 2) * scale];
      scroller.scrollTo({ left: cx - scroller.clientWidth / 2, top: cy - scroller.clientHeight / 2 });
    }
  }

  /** The smallest box around a point of the screen, with a margin for fingers. */
  function under(event) {
    const area = stage.getBoundingClientRect();
    const scale = data.width / area.width;
    const [x, y] = [(event.clientX - area.left) * scale, (event.clientY - area.top) * scale];
    const margin = (event.pointerType === "touch" ? 10 : 3) * scale;
    let best = -1, smallest = Infinity;
    shown.forEach(({ box: [x1, y1, x2, y2] }, place) => {
      const inside = x >= x1 - margin && x <= x2 + margin && y >= y1 - margin && y <= y2 + margin;
      const size = (x2 - x1) * (y2 - y1);
      if (inside && size < smallest) [best, smallest] = [place, size];
    });
    return best;
  }

  scroller.addEventListener("pointermove", (event) => choose(under(event)));
  scroller.addEventListener("pointerdown", (event) => choose(under(event)));
  scroller.addEventListener("pointerleave", (event) => event.pointerType !== "touch" && choose(-1));
  scroller.addEventListener("keydown", (event) => {
    const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
    const n = shown.length;
    if (event.key in steps && n) choose(active < 0 && steps[event.key] < 0 ? n - 1 : (active + steps[event.key] + n) % n, true);
    else if (event.key === "Home" && n) choose(0, true);
    else if (event.key === "End" && n) choose(n - 1, true);
    else if (event.key === "Escape") choose(-1);
    else return;
    event.preventDefault();
  });
  scroller.addEventListener("blur", () => choose(-1));

  return {
    node,
    show(next) {
      current = next;
      drawLegend();
      draw();
    },
    /** Choose the box number i, if it is drawn; returns whether it is. */
    point(i) {
      const place = shown.findIndex((item) => item.i === i);
      choose(place, true);
      return place >= 0;
    },
  };
}
