"use strict";
// Draws the charts of the page from the data in it. Every number that is shown
// comes as text from the report; this script only places it.
(() => {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const places = [...document.querySelectorAll("[data-chart]")];
  const drawn = new Map();

  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const color = (i) => css("--c" + (i % 8));
  const fontSize = 12;
  const font = (px) => px + "px system-ui, sans-serif";

  // Ticks are round numbers: digits in groups, and no unit (the axis names it).
  const tick = (v) => {
    if (v === null) return "";
    const [whole, fraction] = String(+v.toPrecision(6)).split(".");
    return whole.replace(/\B(?=(\d{3})+$)/g, "\u00a0") + (fraction ? "." + fraction : "");
  };

  // extent returns the smallest and the largest of what is to be seen.
  const extent = (values, positive) => {
    let min = Infinity, max = -Infinity;
    for (const v of values) {
      if (v === null || v === undefined || (positive && v <= 0)) continue;
      min = Math.min(min, v);
      max = Math.max(max, v);
    }
    return min <= max ? [min, max] : null;
  };

  const rangeX = (c) => {
    const markers = c.markers.flatMap((m) => [m.at, m.low, m.high]);
    const [min, max] = extent([...c.xs, ...markers], false) || [0, 1];
    const pad = (max - min || max || 1) * 0.03;
    return [min >= 0 && min < max / 2 ? 0 : min - pad, max + pad];
  };

  const rangeY = (c) => {
    const values = c.lines.flatMap((l) => [...l.ys, ...l.lows, ...l.highs]).concat(c.limits.map((l) => l.at));
    const found = extent(values, c.y.log);
    if (c.y.log) {
      const [min, max] = found || [1, 10];
      return [min / 1.3, max * 1.3];
    }
    const [, max] = found || [0, 1];
    return [0, (max || 1) * 1.08];
  };

  // Ticks of a logarithmic axis: 1, 2 and 5 of each power of ten.
  const logSplits = (u, axis, min, max) => {
    const splits = [];
    for (let power = Math.floor(Math.log10(min)); power <= Math.ceil(Math.log10(max)); power++) {
      for (const digit of [1, 2, 5]) {
        const v = digit * 10 ** power;
        if (v >= min && v <= max) splits.push(v);
      }
    }
    return splits;
  };

  // pathOf joins the points of a line, and leaves it open only where it says so
  // itself, not where another line has a point.
  const pathOf = (line) => (u, series, from, to) => {
    const stroke = new Path2D();
    let joined = false;
    for (let i = from; i <= to; i++) {
      if (line.gaps[i]) joined = false;
      if (line.ys[i] === null) continue;
      const x = u.valToPos(u.data[0][i], "x", true), y = u.valToPos(line.ys[i], "y", true);
      if (joined) stroke.lineTo(x, y);
      else stroke.moveTo(x, y);
      joined = true;
    }
    return { stroke, fill: null, clip: null, flags: 0 };
  };

  // drawUnder draws the intervals of markers and points, and the limits.
  const drawUnder = (c) => (u) => {
    const { ctx, bbox } = u;
    const px = devicePixelRatio;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (const m of c.markers) {
      if (m.low === null || m.high === null) continue;
      const left = u.valToPos(m.low, "x", true), right = u.valToPos(m.high, "x", true);
      ctx.globalAlpha = 0.13;
      ctx.fillStyle = color(m.color);
      ctx.fillRect(left, bbox.top, Math.max(right - left, px), bbox.height);
    }
    ctx.globalAlpha = 0.55;
    ctx.lineWidth = 1.5 * px;
    for (const line of c.lines) {
      ctx.strokeStyle = color(line.color);
      line.ys.forEach((y, i) => {
        if (y === null || line.lows[i] === null || line.highs[i] === null) return;
        const x = u.valToPos(c.xs[i], "x", true);
        ctx.beginPath();
        ctx.moveTo(x, u.valToPos(line.lows[i], "y", true));
        ctx.lineTo(x, u.valToPos(line.highs[i], "y", true));
        ctx.stroke();
      });
    }
    ctx.restore();
  };

  // label writes text on a patch of the page's colour, within the plot.
  const label = (u, text, x, y, ink) => {
    const { ctx, bbox } = u;
    const px = devicePixelRatio;
    ctx.font = font(fontSize * px);
    ctx.textAlign = "left";
    ctx.textBaseline = "middle";
    const width = ctx.measureText(text).width + 6 * px, height = (fontSize + 4) * px;
    const left = Math.max(bbox.left, Math.min(x, bbox.left + bbox.width - width));
    const top = Math.max(bbox.top, Math.min(y, bbox.top + bbox.height - height));
    ctx.globalAlpha = 0.85;
    ctx.fillStyle = css("--page");
    ctx.fillRect(left, top, width, height);
    ctx.globalAlpha = 1;
    ctx.fillStyle = ink;
    ctx.fillText(text, left + 3 * px, top + height / 2);
  };

  const drawOver = (c) => (u) => {
    const { ctx, bbox } = u;
    const px = devicePixelRatio;
    ctx.save();
    ctx.lineWidth = 1.5 * px;
    for (const limit of c.limits) {
      const y = Math.round(u.valToPos(limit.at, "y", true));
      ctx.strokeStyle = color(limit.color);
      ctx.setLineDash([6 * px, 4 * px]);
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
    }
    for (const m of c.markers) {
      const x = Math.round(u.valToPos(m.at, "x", true));
      ctx.strokeStyle = color(m.color);
      ctx.setLineDash([2 * px, 3 * px]);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.setLineDash([]);
    for (const limit of c.limits) {
      label(u, limit.label, bbox.left + 4 * px, u.valToPos(limit.at, "y", true) - (fontSize + 6) * px, color(limit.color));
    }
    c.markers.forEach((m, i) => {
      const row = bbox.top + bbox.height - (i + 1) * (fontSize + 6) * px;
      label(u, m.label, u.valToPos(m.at, "x", true) + 4 * px, row, color(m.color));
    });
    ctx.restore();
  };

  const options = (c, width) => {
    const axis = (a, more) => Object.assign({
      label: a.label, labelSize: 22, labelFont: font(12), font: font(12),
      stroke: css("--soft"), grid: { stroke: css("--line"), width: 1 }, ticks: { stroke: css("--line"), width: 1 },
      values: (u, splits) => splits.map(tick),
    }, more);
    return {
      width, height: width < 560 ? 280 : 360,
      padding: [10, 14, 0, 0],
      scales: {
        x: { time: false, range: () => rangeX(c) },
        y: Object.assign({ range: () => rangeY(c) }, c.y.log ? { distr: 3, log: 10 } : {}),
      },
      axes: [
        axis(c.x, { space: 70 }),
        axis(c.y, Object.assign({ size: 56 }, c.y.log ? { splits: logSplits, filter: (u, splits) => splits } : {})),
      ],
      series: [
        { label: c.x.label, value: (u, v, s, i) => (i === null ? "–" : c.xTexts[i]) },
        ...c.lines.map((line) => ({
          label: line.name,
          stroke: color(line.color),
          width: line.dots ? 0 : 1.8,
          paths: line.dots ? () => null : pathOf(line),
          points: { show: line.dots || c.xs.length < 80, size: line.dots ? 8 : 6, fill: color(line.color) },
          value: (u, v, s, i) => (i === null ? "–" : line.texts[i]),
        })),
      ],
      cursor: { drag: { x: false, y: false } },
      legend: { live: true },
      hooks: { drawAxes: [drawUnder(c)], draw: [drawOver(c)] },
    };
  };

  const draw = (place) => {
    const c = charts[+place.dataset.chart];
    const width = Math.floor(place.getBoundingClientRect().width);
    if (width < 50) return;
    drawn.get(place)?.destroy();
    drawn.set(place, new uPlot(options(c, width), [c.xs, ...c.lines.map((l) => l.ys)], place));
  };

  places.forEach(draw);

  // Another width or another theme: draw again, once a frame at most.
  let widthBefore = innerWidth, waiting = false;
  const again = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; places.forEach(draw); });
  };
  addEventListener("resize", () => {
    if (innerWidth !== widthBefore) { widthBefore = innerWidth; again(); }
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  // What is linked to may be folded.
  const unfold = () => {
    const at = location.hash && document.getElementById(location.hash.slice(1));
    if (at && at.tagName === "DETAILS") at.open = true;
  };
  addEventListener("hashchange", unfold);
  unfold();
})();
