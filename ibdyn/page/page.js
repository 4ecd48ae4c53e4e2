"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const texts = document.querySelectorAll("script.record");
  const layout = {
    font: { family: "system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif", size: 13, color: "#1a1a1a" },
    margin: { l: 62, r: 12, t: 40, b: 50 },
    legend: { orientation: "h", traceorder: "normal", yref: "container", y: 0, yanchor: "bottom", x: 0, itemclick: false, itemdoubleclick: false },
    hovermode: "closest",
    // A finger on a plot is to move the page, not to zoom.
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
    plot_bgcolor: "#fff",
    paper_bgcolor: "#fff",
  };
  const axis = { gridcolor: "#e4e4e4", zeroline: false, linecolor: "#1a1a1a", ticks: "outside", automargin: true };
  // Named one by one: by default there is a button that sends the data to a server.
  const config = {
    responsive: true, displaylogo: false, plotlyServerURL: "",
    modeBarButtons: [["toImage", "zoomIn2d", "zoomOut2d", "resetScale2d"]],
  };
  // Glyphs of the layers for the page's own text; shapes are plotly's.
  const glyphs = {
    circle: "●", square: "■", diamond: "◆", "triangle-up": "▲", "triangle-down": "▼",
    cross: "✚", star: "★", x: "✖", "triangle-left": "◀", "triangle-right": "▶",
  };
  let record, timer, scheduled;
  let estimator = 0, frame = 0, quantity = 0;
  let layers = new Set(), members = new Set();

  // Plotly reads some HTML in its texts; what comes from a record is never meant as such.
  const plain = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const rounded = (value) => (Number.isFinite(value) ? Number(value.toPrecision(6)).toString() : "—");
  const decimals = (value) => (Number.isFinite(value) ? value.toFixed(3) : "—");

  function bytes(text) {
    return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  }

  function floats(text) {
    return new Float32Array(bytes(text).buffer);
  }

  // Of each estimator and layer fractions of a range, the last of which stands for NaN.
  function fractions(texts, perEstimator, L) {
    const [low, span] = [floats(texts.low), floats(texts.span)];
    return Float64Array.from(new Uint16Array(bytes(texts.fractions).buffer), (fraction, p) => {
      const end = Math.floor(p / perEstimator) * L + (p % L);
      return fraction === 65535 ? NaN : low[end] + (fraction / 65534) * span[end];
    });
  }

  function interval(texts) {
    return { mean: floats(texts.mean), low: floats(texts.low), high: floats(texts.high) };
  }

  function open(place) {
    const read = JSON.parse(texts[place].textContent);
    const L = read.layers.length;
    const perEstimator = read.members.length * read.epochs.length * L;
    const { input, label, resolved } = read.points;
    const flags = bytes(resolved);
    read.points = {
      input: fractions(input, perEstimator, L),
      label: fractions(label, perEstimator, L),
      resolved: (p) => (flags[p >> 3] >> (7 - (p & 7))) & 1,
    };
    read.means = { input: interval(read.means.input), label: interval(read.means.label) };
    for (const curve of read.curves) {
      curve.lines = curve.lines.map((line) => ({ ...line, ...interval(line) }));
    }
    return read;
  }

  function point(member, step, layer) {
    const [M, S, L] = [record.members.length, record.epochs.length, record.layers.length];
    return ((estimator * M + member) * S + step) * L + layer;
  }

  function mean(step, layer) {
    return (estimator * record.epochs.length + step) * record.layers.length + layer;
  }

  // How many members of a layer lie below log2(patterns), at the time that is shown.
  function told(layer) {
    return record.members.reduce((sum, _, m) => sum + record.points.resolved(point(m, frame, layer)), 0);
  }

  function symbol(html) {
    const [letter, kind] = record.estimators[estimator].symbol.split(/_(.*)/);
    return kind ? (html ? `${plain(letter)}<sub>${plain(kind)}</sub>` : `${letter}_${kind}`) : letter;
  }

  function fill(select, names) {
    select.replaceChildren(...names.map((name) => new Option(name)));
  }

  function box(text, checked, change) {
    const label = document.createElement("label");
    const input = document.createElement("input");
    input.type = "checkbox";
    input.checked = checked;
    input.addEventListener("change", () => change(input.checked));
    label.append(input, text);
    return label;
  }

  function toggle(set, value, on) {
    on ? set.add(value) : set.delete(value);
    draw();
  }

  function rows(table, pairs) {
    table.tBodies[0].replaceChildren(...pairs.map(([name, value]) => {
      const row = document.createElement("tr");
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = name;
      row.append(head);
      row.insertCell().textContent = value;
      return row;
    }));
  }

  function choose(place) {
    stop();
    const before = record && frame < record.epochs.length - 1 ? record.epochs[frame] : Infinity;
    const [oldName, oldQuantity] = record ? [record.estimators[estimator].name, record.curves[quantity].title] : [];
    record = open(place);
    const last = record.epochs.length - 1;
    estimator = Math.max(0, record.estimators.findIndex((one) => one.name === oldName));
    quantity = Math.max(0, record.curves.findIndex((one) => one.title === oldQuantity));
    frame = before === Infinity ? last : nearest(before);
    layers = new Set(record.layers.keys());
    members = new Set(record.members.keys());
    fill($("estimator"), record.estimators.map((one) => one.name));
    fill($("quantity"), record.curves.map((one) => one.title));
    $("estimator").selectedIndex = estimator;
    $("quantity").selectedIndex = quantity;
    $("slider").max = last;
    $("layers").replaceChildren(...record.layers.map((layer, l) => {
      const label = box("", true, (on) => toggle(layers, l, on));
      const glyph = document.createElement("span");
      glyph.textContent = glyphs[layer.symbol];
      glyph.style.color = layer.colour;
      glyph.setAttribute("aria-hidden", "true");
      label.append(glyph, layer.label);
      return label;
    }));
    boxesOfMembers();
    const shown = record.epochs.length;
    $("record-about").textContent = [
      record.title,
      `${record.members.length} members` + (record.diverged.length ? `, of which ${record.diverged.length} diverged (marked in the list; what is not finite is left out)` : ""),
      record.complete ? "" : "an unfinished run",
      shown < record.recorded ? `${shown} of ${record.recorded} recorded steps are on this page` : `all ${shown} recorded steps are on this page`,
    ].filter(Boolean).join("; ") + ".";
    rows($("configuration"), record.configuration);
    rows($("provenance"), record.provenance);
    draw();
  }

  function boxesOfMembers() {
    $("members").replaceChildren(...record.members.map((name, m) => {
      const mark = record.diverged.includes(name) ? " (diverged)" : "";
      return box(`${name}${mark}`, members.has(m), (on) => toggle(members, m, on));
    }));
  }

  function nearest(epoch) {
    let best = 0;
    record.epochs.forEach((one, s) => {
      if (Math.abs(one - epoch) < Math.abs(record.epochs[best] - epoch)) best = s;
    });
    return best;
  }

  function draw() {
    drawCurves();
    about();
    drawFrame();
  }

  function about() {
    const one = record.estimators[estimator];
    const all = members.size === record.members.length;
    $("member-count").textContent = all ? `all ${members.size}` : `${members.size} of ${record.members.length}`;
    const ceilings = one.ceiling === null ? "I(X;Y)" : "I(X;Y) and log2(patterns)";
    $("plane-estimator").textContent =
      `Estimator ${one.name}` + (one.meaning ? `: ${one.meaning}` : "") +
      (one.resolution ? ` (${one.resolution})` : "") + (one.noise ? `; noise: ${one.noise}` : "") + ". " +
      (one.ceiling === null
        ? "The dotted line is the ceiling I(X;Y)."
        : "Dotted lines are the ceilings I(X;Y) and log2(patterns). Marks are hollow within 0.1 bit of " +
          "log2(patterns): there the estimator only tells all patterns apart.");
  }

  function drawFrame() {
    const epoch = rounded(record.epochs[frame]);
    $("slider").value = frame;
    $("slider").setAttribute("aria-valuetext", `epoch ${epoch}`);
    $("epoch").textContent = `epoch ${epoch}`;
    drawPlane(epoch);
    Plotly.relayout($("curves"), { shapes: shapesOfCurves() });
    numbers(epoch);
  }

  function drawPlane(epoch) {
    const { input, label, resolved } = record.points;
    const traces = [];
    const steps = [...record.epochs.keys()];
    const named = members.size <= 5 && members.size < record.members.length;
    for (const l of layers) {
      const layer = record.layers[l];
      traces.push({
        x: steps.map((s) => record.means.input.mean[mean(s, l)]),
        y: steps.map((s) => record.means.label.mean[mean(s, l)]),
        mode: "lines", line: { color: layer.colour, width: 1.5 }, opacity: 0.55, hoverinfo: "skip", showlegend: false,
      });
      for (const m of named ? members : []) {
        const until = steps.slice(0, frame + 1);
        traces.push({
          x: until.map((s) => input[point(m, s, l)]), y: until.map((s) => label[point(m, s, l)]),
          mode: "lines", line: { color: layer.colour, width: 1.2, dash: "dot" }, hoverinfo: "skip", showlegend: false,
        });
      }
    }
    for (const l of layers) {
      const layer = record.layers[l];
      const places = [...members].sort((a, b) => a - b).map((m) => point(m, frame, l));
      traces.push({
        name: plain(layer.label), meta: { layer: layer.name },
        x: places.map((p) => input[p]), y: places.map((p) => label[p]),
        customdata: [...members].sort((a, b) => a - b).map((m) => record.members[m]),
        mode: "markers",
        marker: {
          color: layer.colour, size: 8, opacity: 0.75, line: { width: 1, color: layer.colour },
          symbol: places.map((p) => layer.symbol + (resolved(p) ? "" : "-open")),
        },
        hovertemplate: `layer ${plain(layer.name)}, member %{customdata}<br>${symbol(true)}(X;T) = %{x:.3f} bit<br>${symbol(true)}(T;Y) = %{y:.3f} bit<extra></extra>`,
        showlegend: false,
      });
    }
    for (const l of layers) {
      const layer = record.layers[l];
      const p = mean(frame, l);
      const [across, up] = [record.means.input, record.means.label];
      const bar = (one) => ({
        type: "data", symmetric: false, array: [one.high[p] - one.mean[p]], arrayminus: [one.mean[p] - one.low[p]],
        color: "#1a1a1a", thickness: 1.4, width: 4,
      });
      traces.push({
        name: plain(layer.label), meta: { meanOf: layer.name },
        x: [across.mean[p]], y: [up.mean[p]], error_x: bar(across), error_y: bar(up),
        mode: "markers+text", text: [plain(layer.name)], textposition: l % 2 ? "bottom right" : "top left", textfont: { size: 14 },
        marker: {
          symbol: layer.symbol + (told(l) ? "" : "-open"), size: 14, color: layer.colour,
          line: told(l) ? { width: 1.6, color: "#1a1a1a" } : { width: 2.5, color: layer.colour },
        },
        cliponaxis: false,
        hovertemplate: `layer ${plain(layer.name)}, mean of all members<br>${symbol(true)}(X;T) = %{x:.3f} bit<br>${symbol(true)}(T;Y) = %{y:.3f} bit<extra></extra>`,
        showlegend: false,
      });
    }
    const most = record.estimators[estimator].ceiling;
    const dotted = { type: "line", line: { color: "#767676", dash: "dot", width: 1.5 }, layer: "below" };
    const shapes = [{ ...dotted, xref: "paper", x0: 0, x1: 1, y0: record.ceiling, y1: record.ceiling }];
    if (most !== null) shapes.push({ ...dotted, yref: "paper", y0: 0, y1: 1, x0: most, x1: most });
    Plotly.react($("plane"), traces, {
      ...layout,
      title: { text: `epoch ${epoch}, ${plain(record.estimators[estimator].name)}`, font: { size: 14 }, x: 0.02 },
      xaxis: { ...axis, range: range(input, [0, most ?? 0]), title: { text: `encoder information ${symbol(true)}(X;T) [bit]` } },
      yaxis: { ...axis, range: range(label, [0, record.ceiling]), title: { text: `decoder information ${symbol(true)}(T;Y) [bit]` } },
      shapes, uirevision: `${record.name} ${estimator}`,
    }, config);
  }

  // The same at all times, so that a path does not move with its axes.
  function range(values, ends) {
    const count = values.length / record.estimators.length;
    let [low, high] = [Math.min(...ends), Math.max(...ends)];
    for (const value of values.subarray(estimator * count, (estimator + 1) * count)) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
    const margin = 0.1 * (high - low || 1);
    return [low - margin, high + margin];
  }

  function drawCurves() {
    const curve = record.curves[quantity];
    const narrow = $("curves").clientWidth < 420;
    const later = [...record.epochs.keys()].filter((s) => record.epochs[s] > 0);
    const epochs = later.map((s) => record.epochs[s]);
    const ends = later.length ? [Math.log10(epochs[0]) - 0.15, Math.log10(epochs.at(-1)) + 0.15] : [0, 1];
    const traces = [];
    for (const line of curve.lines) {
      if (line.layer !== null && !layers.has(line.layer)) continue;
      const layer = line.layer === null ? null : record.layers[line.layer];
      const colour = layer ? layer.colour : line.dash === "solid" ? "#0072b2" : "#d55e00";
      const at = (values) => later.map((s) => values[s]);
      if (!at(line.mean).some(Number.isFinite)) continue;
      const edge = { x: epochs, mode: "lines", line: { width: 0, color: colour }, hoverinfo: "skip", showlegend: false };
      traces.push({ ...edge, y: at(line.low) }, { ...edge, y: at(line.high), fill: "tonexty", fillcolor: `${colour}33` });
      const label = plain(layer ? layer.name : line.name);
      traces.push({
        x: epochs, y: at(line.mean), customdata: later, name: label,
        mode: "lines+markers", line: { color: colour, width: 1.8, dash: line.dash },
        marker: { symbol: layer ? layer.symbol : line.dash === "solid" ? "circle" : "square", size: 8, maxdisplayed: 7, color: colour, line: { width: 1, color: "#1a1a1a" } },
        hovertemplate: `${layer ? "layer " : ""}${label}${layer && line.name ? `, ${plain(line.name)}` : ""}<br>epoch %{x:.6~g}: %{y:.4~g}<extra></extra>`,
        showlegend: !layer || line.dash === "solid",
      });
    }
    $("curves-about").textContent = curve.about;
    $("curves-more").textContent = curve.more;
    Plotly.react($("curves"), traces, {
      ...layout,
      margin: { ...layout.margin, b: narrow ? 92 : 72 },
      xaxis: { ...axis, type: "log", range: ends, dtick: 1, exponentformat: "power", title: { text: "epoch" } },
      yaxis: { ...axis, type: curve.log ? "log" : "linear", exponentformat: "power", rangemode: "tozero", title: { text: curve.axis } },
      shapes: shapesOfCurves(), uirevision: `${record.name} ${quantity}`,
    }, config);
  }

  function shapesOfCurves() {
    const shapes = [];
    const epoch = record.epochs[frame];
    const level = record.curves[quantity].level;
    if (level !== undefined) {
      shapes.push({ type: "line", xref: "paper", x0: 0, x1: 1, y0: level, y1: level, line: { color: "#767676", dash: "dot", width: 1.5 } });
    }
    // Epoch 0 has no place on a logarithmic axis; its line stands at the left edge.
    const upright = { type: "line", yref: "paper", y0: 0, y1: 1, line: { color: "#1a1a1a", width: 2 } };
    shapes.push(epoch > 0 ? { ...upright, x0: epoch, x1: epoch } : { ...upright, xref: "paper", x0: 0, x1: 0 });
    return shapes;
  }

  function numbers(epoch) {
    $("numbers-title").textContent = `Numbers at epoch ${epoch}`;
    const head = document.createElement("tr");
    for (const name of ["layer", `${symbol(false)}(X;T) [bit]`, `${symbol(false)}(T;Y) [bit]`, "resolved"]) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = name;
      head.append(cell);
    }
    $("numbers").tHead.replaceChildren(head);
    $("numbers").tBodies[0].replaceChildren(...[...layers].sort((a, b) => a - b).map((l) => {
      const row = document.createElement("tr");
      const name = document.createElement("th");
      name.scope = "row";
      name.textContent = `${glyphs[record.layers[l].symbol]} ${record.layers[l].name}`;
      row.append(name);
      const p = mean(frame, l);
      for (const one of [record.means.input, record.means.label]) {
        const cell = row.insertCell();
        cell.textContent = decimals(one.mean[p]);
        if (Number.isFinite(one.low[p])) cell.textContent += ` (${decimals(one.low[p])} to ${decimals(one.high[p])})`;
      }
      const measured = Number.isFinite(record.means.input.mean[p]);
      row.insertCell().textContent = measured ? `${told(l)} of ${record.members.length}` : "not measured";
      return row;
    }));
  }

  function go(to) {
    frame = Math.min(Math.max(to, 0), record.epochs.length - 1);
    if (scheduled) return;
    scheduled = requestAnimationFrame(() => {
      scheduled = undefined;
      drawFrame();
    });
  }

  function stop() {
    clearInterval(timer);
    timer = undefined;
    $("play").textContent = "Play";
  }

  function play() {
    if (timer) return stop();
    const last = record.epochs.length - 1;
    if (frame === last) go(0);
    $("play").textContent = "Pause";
    timer = setInterval(() => {
      if (frame >= last) return stop();
      go(frame + 1);
    }, 150);
  }

  function setMembers(all) {
    members = new Set(all ? record.members.keys() : []);
    boxesOfMembers();
    draw();
  }

  $("choices").addEventListener("submit", (event) => event.preventDefault());
  $("record").addEventListener("change", (event) => choose(event.target.selectedIndex));
  $("estimator").addEventListener("change", (event) => { estimator = event.target.selectedIndex; draw(); });
  $("quantity").addEventListener("change", (event) => { quantity = event.target.selectedIndex; draw(); });
  $("slider").addEventListener("input", (event) => { stop(); go(Number(event.target.value)); });
  $("back").addEventListener("click", () => { stop(); go(frame - 1); });
  $("forth").addEventListener("click", () => { stop(); go(frame + 1); });
  $("play").addEventListener("click", play);
  $("members-all").addEventListener("click", () => setMembers(true));
  $("members-none").addEventListener("click", () => setMembers(false));
  choose($("record").selectedIndex);
  $("curves").on("plotly_click", (event) => {
    const place = event.points[0].customdata;
    if (place !== undefined) { stop(); go(place); }
  });
})();
