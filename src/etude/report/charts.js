"use strict";
// Line charts: one SVG each, drawn anew when the width, the scale or the smoothing changes.
(() => {
  const charts = JSON.parse(document.getElementById("chart-data").textContent);
  const areas = [...document.querySelectorAll("[data-chart]")];
  const logBox = document.getElementById("log-scale");
  const smoothBox = document.getElementById("smooth");
  const SVG = "http://www.w3.org/2000/svg";
  const MARGIN = { top: 10, right: 12, bottom: 26, left: 54 };
  let scaleTouched = false;

  const element = (name, attributes, parent) => {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (parent) parent.appendChild(node);
    return node;
  };
  const html = (name, className, parent, text) => {
    const node = document.createElement(name);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    parent.appendChild(node);
    return node;
  };

  const format = (value) => {
    if (value === null || value === undefined) return "not finite";
    if (value === 0) return "0";
    const size = Math.abs(value);
    if (size < 1e-3 || size >= 1e7) return value.toExponential(2).replace("e+", "e");
    return value.toLocaleString("en", { maximumSignificantDigits: size >= 1000 ? 6 : 4 });
  };
  const shortNumber = (value) => {
    const size = Math.abs(value);
    if (size >= 1e6) return `${+(value / 1e6).toPrecision(3)}M`;
    if (size >= 1e4) return `${+(value / 1e3).toPrecision(3)}k`;
    return size && size < 1e-3 ? value.toExponential(1).replace(".0e", "e") : `${+value.toPrecision(3)}`;
  };

  // Round numbers that split [low, high] into about `count` parts.
  const linearTicks = (low, high, count) => {
    const rough = (high - low) / count || 1;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
    const ticks = [];
    for (let tick = Math.ceil(low / step) * step; tick <= high + step * 1e-6; tick += step) ticks.push(+tick.toPrecision(12));
    return ticks;
  };
  const logTicks = (low, high) => {
    const ticks = [];
    const decades = Math.log10(high / low);
    const factors = decades < 1.5 ? [1, 2, 3, 5] : decades < 3 ? [1, 3] : [1];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1)
      for (const factor of factors) {
        const tick = factor * 10 ** power;
        if (tick >= low * 0.999 && tick <= high * 1.001) ticks.push(tick);
      }
    const sparse = decades > 7 ? ticks.filter((_, index) => index % 2 === 0) : ticks;
    return sparse.length > 1 ? sparse : [low, high];
  };

  const extent = (chart, log) => {
    let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
    for (const { points } of chart.series)
      for (const [x, y] of points) {
        x0 = Math.min(x0, x); x1 = Math.max(x1, x);
        if (y !== null && (!log || y > 0)) { y0 = Math.min(y0, y); y1 = Math.max(y1, y); }
      }
    if (!Number.isFinite(y0)) [y0, y1] = log ? [0.1, 1] : [0, 1];
    if (x0 === x1) { x0 -= 1; x1 += 1; }
    if (y0 === y1) { const pad = Math.abs(y0) * 0.1 || 1; y0 -= log ? y0 * 0.1 : pad; y1 += pad; }
    if (!log) {
      const pad = (y1 - y0) * 0.05;
      if (y0 >= 0 && y0 < (y1 - y0) * 0.6) y0 = 0; else y0 -= pad;
      y1 += pad;
      if (chart.unit === "%" && y1 > 100 && y1 < 112) y1 = 102;
    }
    return { x0, x1, y0, y1 };
  };

  const pathOf = (points, x, y, log) => {
    let path = "", pen = "M";
    for (const [step, value] of points) {
      if (value === null || (log && value <= 0)) { pen = "M"; continue; }
      path += `${pen}${x(step).toFixed(1)} ${y(value).toFixed(1)}`;
      pen = "L";
    }
    return path;
  };

  const draw = (area) => {
    const chart = charts[+area.dataset.chart];
    const width = area.clientWidth;
    if (!width || !chart.series.length) return;
    const wide = area.parentElement.classList.contains("wide");
    const height = wide ? Math.min(320, Math.max(210, width * 0.42)) : 190;
    const allowed = chart.unit !== "%" && chart.series.some(({ points }) => points.some(([, y]) => y > 0));
    const log = allowed && (scaleTouched ? logBox.checked : chart.log);
    const box = extent(chart, log);
    const transform = log ? Math.log10 : (value) => value;
    const [low, high] = [transform(box.y0), transform(box.y1)];
    const inner = { width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom };
    const x = (step) => MARGIN.left + ((step - box.x0) / (box.x1 - box.x0)) * inner.width;
    const y = (value) => MARGIN.top + (1 - (transform(value) - low) / (high - low)) * inner.height;

    area.replaceChildren();
    const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, height, "aria-hidden": "true" });
    for (const tick of log ? logTicks(box.y0, box.y1) : linearTicks(box.y0, box.y1, wide ? 5 : 4)) {
      element("line", { x1: MARGIN.left, x2: width - MARGIN.right, y1: y(tick), y2: y(tick), class: "grid" }, svg);
      element("text", { x: MARGIN.left - 8, y: y(tick) + 4, "text-anchor": "end" }, svg).textContent = shortNumber(tick);
    }
    const floor = height - MARGIN.bottom;
    element("line", { x1: MARGIN.left, x2: width - MARGIN.right, y1: floor, y2: floor, class: "axis" }, svg);
    const ticks = linearTicks(box.x0, box.x1, width < 420 ? 3 : 6).filter((tick) => Number.isInteger(tick));
    ticks.forEach((tick) => {
      const anchor = x(tick) > width - 40 ? "end" : "middle";
      const end = ticks[ticks.length - 1];
      const last = tick === end;
      if (!last && x(end) - x(tick) < 84) return;
      const text = element("text", { x: anchor === "end" ? width - MARGIN.right : x(tick), y: floor + 18, "text-anchor": anchor }, svg);
      text.textContent = shortNumber(tick) + (last ? " steps" : "");
    });
    for (const item of chart.series) {
      const style = `stroke: var(--c${item.color % 6})`;
      const dash = item.dash ? { "stroke-dasharray": "6 4" } : {};
      const smoothed = smoothBox.checked && item.smooth;
      const raw = element("path", { d: pathOf(item.points, x, y, log), class: smoothed ? "line raw" : "line", style, ...dash }, svg);
      if (!smoothed && item.points.length > 600) raw.style.strokeWidth = "1.1";
      if (smoothed) element("path", { d: pathOf(item.smooth, x, y, log), class: "line", style }, svg);
      if (item.points.length <= 40)
        for (const [step, value] of item.points)
          if (value !== null && (!log || value > 0))
            element("circle", { cx: x(step), cy: y(value), r: 2.6, style: `fill: var(--c${item.color % 6})` }, svg);
    }
    area.appendChild(svg);
    legend(area, chart, log);
    area.readout = { chart, svg, x, y, box, width, height, log, floor };
  };

  const legend = (area, chart, log) => {
    const list = html("ul", "legend", area);
    if (chart.series.length > 1)
      for (const item of chart.series) {
        const entry = html("li", "", list);
        const key = element("svg", { viewBox: "0 0 22 8", "aria-hidden": "true" }, entry);
        element("line", { x1: 1, x2: 21, y1: 4, y2: 4, class: "line", style: `stroke: var(--c${item.color % 6})`,
          ...(item.dash ? { "stroke-dasharray": "6 4" } : {}) }, key);
        entry.append(item.label);
      }
    if (log) html("li", "", list, "logarithmic");
    const gaps = chart.series.reduce((sum, item) => sum + item.gaps, 0);
    if (gaps) html("li", "", list, `${gaps} point${gaps === 1 ? "" : "s"} not finite`);
  };

  // The point of each series nearest to a step.
  const nearest = (points, step) => {
    let [low, high] = [0, points.length - 1];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (points[middle][0] < step) low = middle; else high = middle;
    }
    return Math.abs(points[low][0] - step) <= Math.abs(points[high][0] - step) ? points[low] : points[high];
  };

  const read = (area, step) => {
    const state = area.readout;
    if (!state) return;
    clear(area);
    const { chart, svg, x, y, width, log, floor } = state;
    const longest = chart.series.reduce((a, b) => (a.points.length >= b.points.length ? a : b));
    const at = nearest(longest.points, step)[0];
    area.step = at;
    const group = element("g", { class: "reading" }, svg);
    element("line", { x1: x(at), x2: x(at), y1: MARGIN.top, y2: floor, class: "cursor" }, group);
    const tip = html("div", "tip", area);
    html("b", "", tip, `step ${at.toLocaleString("en")}`);
    for (const item of chart.series) {
      const [, value] = nearest(item.points, at);
      const row = html("div", "", tip);
      const dot = html("span", "swatch", row);
      dot.style.setProperty("--color", `var(--c${item.color % 6})`);
      dot.style.marginRight = "0";
      row.append(item.label);
      html("span", "v", row, format(value) + (chart.unit ? ` ${chart.unit}` : ""));
      if (value !== null && (!log || value > 0))
        element("circle", { cx: x(nearest(item.points, at)[0]), cy: y(value), r: 4, style: `fill: var(--c${item.color % 6})` }, group);
    }
    const left = x(at) > width / 2 ? Math.max(0, x(at) - tip.offsetWidth - 12) : Math.min(width - tip.offsetWidth, x(at) + 12);
    tip.style.left = `${left}px`;
  };
  const clear = (area) => area.querySelectorAll(".tip, .reading").forEach((node) => node.remove());

  const move = (area, direction) => {
    const state = area.readout;
    if (!state) return;
    const longest = state.chart.series.reduce((a, b) => (a.points.length >= b.points.length ? a : b)).points;
    let index = longest.findIndex(([step]) => step >= (area.step ?? -Infinity));
    if (area.step === undefined) index = direction > 0 ? -1 : longest.length;
    const jump = direction * Math.max(1, Math.round(longest.length / 120));
    read(area, longest[Math.min(longest.length - 1, Math.max(0, index + jump))][0]);
  };

  for (const area of areas) {
    area.addEventListener("pointermove", (event) => {
      const state = area.readout;
      if (!state) return;
      const offset = event.clientX - area.getBoundingClientRect().left - MARGIN.left;
      const share = offset / (state.width - MARGIN.left - MARGIN.right);
      read(area, state.box.x0 + share * (state.box.x1 - state.box.x0));
    });
    area.addEventListener("pointerleave", () => clear(area));
    area.addEventListener("blur", () => clear(area));
    area.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
      event.preventDefault();
      move(area, event.key === "ArrowRight" ? 1 : -1);
    });
    if ("ResizeObserver" in window) {
      let width = 0;
      new ResizeObserver(() => { if (area.clientWidth !== width) { width = area.clientWidth; draw(area); } }).observe(area);
    } else draw(area);
  }
  if (logBox) {
    document.querySelector(".tools").hidden = false;
    logBox.indeterminate = charts.some((chart) => chart.log);
    logBox.addEventListener("change", () => { scaleTouched = true; areas.forEach(draw); });
    smoothBox.addEventListener("change", () => areas.forEach(draw));
  }
  for (const button of document.querySelectorAll(".copy"))
    button.addEventListener("click", async () => {
      const done = () => { button.textContent = "Copied"; setTimeout(() => { button.textContent = "Copy"; }, 1400); };
      try { await navigator.clipboard.writeText(button.dataset.copy); done(); } catch {
        const range = document.createRange();
        range.selectNodeContents(button.previousElementSibling);
        getSelection().removeAllRanges();
        getSelection().addRange(range);
        if (document.execCommand("copy")) done();
      }
    });
})();
