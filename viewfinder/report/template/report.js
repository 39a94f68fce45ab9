(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  // Names come from files and folders: they only ever enter the page as text, never as markup.
  const element = (tag, className, text) => {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  const SYMBOLS = [["circle", "●"], ["square", "■"], ["diamond", "◆"], ["triangle-up", "▲"], ["star", "★"]];
  const config = { responsive: true, displaylogo: false, modeBarButtons: [["zoomIn2d", "zoomOut2d", "resetScale2d"]] };
  const layout = (more) => ({
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, hovermode: "closest",
    font: { family: getComputedStyle(document.body).fontFamily, size: 11, color: css("--soft") },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: css("--soft"), activecolor: css("--accent") },
    margin: { l: 44, r: 8, t: 8, b: 34 }, ...more,
  });

  const ticks = (epochs) => [1, 2, 5, 10, 20, 50, 100, 200, 500].find((d) => epochs / d <= 6) ?? Math.ceil(epochs / 6);
  const drawCurve = (curve, i) => {
    const axis = { gridcolor: css("--line"), zeroline: false, linecolor: css("--line"), fixedrange: true };
    const mode = curve.x.length > 40 ? "lines" : "lines+markers";
    Plotly.react(`curve-${i}`, [{
      type: "scatter", mode, x: curve.x, y: curve.y, connectgaps: false,
      line: { color: css("--accent"), width: 2 }, marker: { size: 5 },
      hovertemplate: "epoch %{x}: %{y:.4g}<extra></extra>",
    }], layout({
      xaxis: { ...axis, title: { text: "epoch", standoff: 4 }, tick0: 0, dtick: ticks(curve.x.length), showgrid: false },
      yaxis: { ...axis, rangemode: curve.from_zero ? "tozero" : "normal", nticks: 5, exponentformat: "power" },
    }), { ...config, displayModeBar: false });
  };

  const map = data.map;
  let single = null; // the class singled out
  let picked = null; // the image whose neighbours are shown
  const style = (c) => {
    const known = map.classes[c].known;
    const few = map.classes.length <= 8; // colours alone tell them apart
    return { colour: known ? map.colours[c % map.colours.length] : css("--bar"), symbol: SYMBOLS[few ? 0 : c % SYMBOLS.length] };
  };

  const drawMap = () => {
    const labels = map.label;
    const size = Math.max(4, Math.min(10, 190 / Math.sqrt(map.x.length)));
    const near = picked === null ? [] : map.near[picked];
    const axis = { visible: false, showgrid: false, zeroline: false };
    const at = (indices) => ({ x: indices.map((i) => map.x[i]), y: indices.map((i) => map.y[i]) });
    const ring = (colour, width, more) => ({ size: size + more, color: "rgba(0,0,0,0)", line: { color: colour, width } });
    Plotly.react("map", [
      {
        type: "scatter", mode: "markers", x: map.x, y: map.y, hoverinfo: "none",
        marker: {
          size, line: { width: 0.7, color: css("--card") },
          color: labels ? labels.map((c) => style(c).colour) : css("--accent"),
          symbol: labels ? labels.map((c) => style(c).symbol[0]) : "circle",
          opacity: labels && single !== null ? labels.map((c) => (c === single ? 1 : 0.1)) : 0.85,
        },
      },
      { type: "scatter", mode: "markers", ...at(near), hoverinfo: "skip", marker: ring(css("--ink"), 1.5, 4) },
      { type: "scatter", mode: "markers", ...at(picked === null ? [] : [picked]), hoverinfo: "skip", marker: ring(css("--accent"), 3, 8) },
    ], layout({
      margin: { l: 4, r: 4, t: 4, b: 4 }, dragmode: "pan", xaxis: axis, yaxis: { ...axis, scaleanchor: "x" }, uirevision: "map",
    }), config);
  };

  const tile = (i, scale) => {
    const made = element("span", "tile");
    made.style.setProperty("--x", map.corners[i][0]);
    made.style.setProperty("--y", map.corners[i][1]);
    made.style.setProperty("--s", scale);
    made.setAttribute("role", "img");
    made.setAttribute("aria-label", describe(i));
    return made;
  };
  const label = (i) => (map.label ? map.classes[map.label[i]].name : null);
  const describe = (i) => (label(i) === null ? map.names[i] : `${label(i)}, ${map.names[i]}`);

  const showCard = (i, event) => {
    const card = byId("card");
    card.replaceChildren();
    if (map.corners) card.append(tile(i, map.big));
    if (label(i) !== null) card.append(element("bdi", "label", label(i)));
    card.append(element("bdi", "name", map.names[i]));
    if (map.splits) card.append(element("span", "name", map.splits[i]));
    card.hidden = false;
    const { width, height } = card.getBoundingClientRect();
    const place = (pointer, extent, limit) => Math.max(4, pointer + 16 + extent > limit ? pointer - extent - 16 : pointer + 16);
    card.style.left = `${place(event.clientX, width, innerWidth)}px`;
    card.style.top = `${place(event.clientY, height, innerHeight)}px`;
  };

  const pick = (i) => {
    picked = i;
    const panel = byId("picked");
    panel.replaceChildren();
    if (i !== null) {
      [i, ...map.near[i]].forEach((j, rank) => {
        const other = rank > 0 && map.label !== null && map.label[j] !== map.label[i];
        const figure = element("figure", (rank ? "near" : "query") + (other ? " other" : ""));
        if (map.corners) figure.append(tile(j, map.small));
        const caption = element("figcaption", "", rank ? map.similarity[i][rank - 1].toFixed(2) : "");
        if (!rank || other || !map.corners) caption.append(element("bdi", "", label(j) ?? map.names[j]));
        figure.append(caption);
        panel.append(figure);
      });
    }
    drawMap();
  };

  const drawLegend = () => {
    map.classes.forEach((c, i) => {
      const button = element("button");
      const glyph = element("span", "glyph", style(i).symbol[1]);
      glyph.style.color = style(i).colour;
      glyph.setAttribute("aria-hidden", "true");
      const name = element("bdi", "", c.name);
      name.title = c.name;
      button.type = "button";
      button.append(glyph, name);
      button.setAttribute("aria-pressed", "false");
      button.addEventListener("click", () => {
        single = single === i ? null : i;
        [...byId("legend").children].forEach((b, j) => b.setAttribute("aria-pressed", String(j === single)));
        drawMap();
      });
      byId("legend").append(button);
    });
  };

  const draw = () => {
    data.curves.forEach(drawCurve);
    if (map) drawMap();
  };

  if (map) drawLegend(); // first: it takes width from the map
  draw();
  if (map) {
    const plot = byId("map");
    plot.on("plotly_hover", (e) => { if (e.points[0].curveNumber === 0) showCard(e.points[0].pointNumber, e.event); });
    plot.on("plotly_unhover", () => { byId("card").hidden = true; });
    plot.on("plotly_click", (e) => { if (e.points[0].curveNumber === 0) pick(e.points[0].pointNumber); });
    plot.addEventListener("keydown", (e) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[e.key];
      if (e.key === "Escape") pick(null);
      else if (step) {
        e.preventDefault();
        pick(picked === null ? 0 : (picked + step + map.x.length) % map.x.length);
      }
    });
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  matchMedia("print").addEventListener("change", draw);
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
})();
