/* Heatmap: a map of relevance on a canvas, coloured in the browser.
 *
 * Works as a file of its own and pasted into a page, needs nothing but base.css beside it, and defines one name:
 *
 *   <canvas id="map"></canvas> <div id="legend"></div> <output id="value"></output>
 *
 *   const heatmap = new Heatmap(document.querySelector("#map"), {
 *     legend: document.querySelector("#legend"),   // gets a colour bar and what its ends stand for
 *     onpoint: (point) => {...},                   // {x, y, value} under the pointer or the arrow keys, or null
 *     resolution: 672,                             // pixels of the longer side, about
 *   });
 *   heatmap.show({
 *     values: Heatmap.decode(base64),              // Float32Array, rows behind one another, pooled over channels
 *     width: 224, height: 224,
 *     picture: image,                              // drawn below: what drawImage takes, in the map's shape, or null
 *     scale: null,                                 // relevance of the full colour; null: Heatmap.fullScale(values)
 *   });
 *   heatmap.colors = "blueorange";                 // a name in Heatmap.maps
 *   heatmap.opacity = 0.5;                         // 0: the picture alone, 1: the relevance alone
 *   heatmap.toCanvas("Why tabby", "squeezenet");   // a canvas to save: title, map, legend, note
 *
 * Colours are symmetric about zero, which has an entry of its own, and equal those of lrpfast.view.heatmap. Between
 * 0 and 1, weak relevance is more transparent than strong, so that the picture stays visible where nothing is said.
 */
class Heatmap {
  /** Colours from strongly against to strongly for, evenly spaced; the one in the middle is zero. */
  static maps = {
    seismic: ["#00004d", "#0000ff", "#ffffff", "#ff0000", "#800000"],
    bwr: ["#0000ff", "#ffffff", "#ff0000"],
    blueorange: ["#0a3f86", "#1f6fb8", "#6fb3e3", "#ffffff", "#f4ad61", "#d96c06", "#8a3b00"],
    coldnhot: ["#ffffff", "#00ffff", "#0000ff", "#000000", "#ff0000", "#ffff00", "#ffffff"],
    night: ["#a9deff", "#4da3f2", "#1d4f9e", "#121213", "#a3381a", "#f28a3c", "#ffd699"],
  };

  /** Entries of a colour table: odd, so that zero has an entry of its own. */
  static entries = 257;

  /** Share of the pixels, in per cent, whose relevance the colours tell apart. */
  static percentile = 99.8;

  /** Enlargement from which on values are squares; finer ones only clash with the pixels of the screen. */
  static coarse = 4;

  #canvas;
  #legend;
  #onpoint;
  #resolution;
  #colors = "seismic";
  #opacity = 1;
  #map = null; // {values, width, height, picture, scale}
  #layer = null; // the coloured relevance, one pixel a value
  #ground = null; // what is below it, in the pixels of the picture
  #point = null;

  constructor(canvas, { legend = null, onpoint = null, resolution = 672 } = {}) {
    this.#canvas = canvas;
    this.#legend = legend;
    this.#onpoint = onpoint;
    this.#resolution = resolution;
    canvas.classList.add("heatmap");
    if (!canvas.hasAttribute("role")) canvas.setAttribute("role", "img");
    if (onpoint) this.#listen();
  }

  get colors() {
    return this.#colors;
  }

  set colors(name) {
    if (!(name in Heatmap.maps)) throw new RangeError(`There is no colour map '${name}'.`);
    if (name === this.#colors) return;
    this.#colors = name;
    this.#color();
  }

  get opacity() {
    return this.#opacity;
  }

  set opacity(share) {
    const opacity = Math.min(1, Math.max(0, share));
    if (opacity === this.#opacity) return;
    this.#opacity = opacity;
    this.#color();
  }

  /** The colour [r, g, b] of zero, which pictures below the map had best take as their paper. */
  get neutral() {
    const middle = 3 * ((Heatmap.entries - 1) / 2);
    return [...Heatmap.table(this.#colors).slice(middle, middle + 3)];
  }

  /** What is shown: {values, width, height, picture, scale}, or null. */
  get map() {
    return this.#map;
  }

  show({ values, width, height, picture = null, scale = null }) {
    if (values.length !== width * height) {
      throw new RangeError(`A map of ${width} x ${height} has ${width * height} values, not ${values.length}.`);
    }
    this.#map = { values, width, height, picture, scale: scale ?? Heatmap.fullScale(values) };
    if (this.#point) this.#point = this.#inside(this.#point);
    this.#color();
    this.#tell();
  }

  clear() {
    this.#map = null;
    this.#canvas.getContext("2d").clearRect(0, 0, this.#canvas.width, this.#canvas.height);
    this.#legend?.replaceChildren();
    this.#moveTo(null);
  }

  /** The map with a title above and its legend below, in the colours of the page. */
  toCanvas(title = "", note = "") {
    const style = getComputedStyle(this.#canvas);
    const color = (name, otherwise) => style.getPropertyValue(name).trim() || otherwise;
    const grow = Math.max(1, Math.round(672 / Math.max(this.#canvas.width, this.#canvas.height)));
    const [own, tall] = [grow * this.#canvas.width, grow * this.#canvas.height];
    const [margin, wide] = [32, Math.max(own, 480)];
    const top = margin + (title ? 44 : 0);
    const sheet = Object.assign(document.createElement("canvas"), { width: wide + 2 * margin });
    sheet.height = top + tall + 84 + (note ? 28 : 0);
    const context = sheet.getContext("2d");
    const words = (text, x, y, size, align, name) => {
      context.font = `${size} ${style.fontFamily}`;
      context.textAlign = align;
      context.fillStyle = color(name, name === "--ink" ? "#1c1c1e" : "#66666c");
      context.fillText(text, x, y, wide);
    };
    context.fillStyle = color("--paper", "#ffffff");
    context.fillRect(0, 0, sheet.width, sheet.height);
    if (title) words(title, margin, margin + 22, "600 24px", "left", "--ink");
    this.#paint(context, margin + (wide - own) / 2, top, own, tall);
    if (this.#map) {
      context.imageSmoothingEnabled = true;
      context.drawImage(Heatmap.#bar(this.#colors), margin, top + tall + 20, wide, 12);
      const [low, zero, high] = this.#ends();
      const line = top + tall + 54;
      words(low, margin, line, "15px", "left", "--soft");
      words(zero, margin + wide / 2, line, "15px", "center", "--soft");
      words(high, margin + wide, line, "15px", "right", "--soft");
    }
    if (note) words(note, margin, sheet.height - 28, "15px", "left", "--soft");
    return sheet;
  }

  /** Values of a float32 array that was written in base64, little-endian. */
  static decode(base64) {
    return new Float32Array(Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)).buffer);
  }

  /** Magnitude that gets the full colour: a percentile, so that a few extreme pixels do not leave the rest blank. */
  static fullScale(values, percentile = Heatmap.percentile) {
    const magnitudes = Float32Array.from(values, Math.abs).sort();
    const last = magnitudes.length - 1;
    const place = (percentile / 100) * last;
    const below = magnitudes[Math.floor(place)];
    return below + (magnitudes[Math.ceil(place)] - below) * (place % 1) || magnitudes[last] || 1;
  }

  /** Colours of a map, 3 bytes an entry. */
  static table(name) {
    return (this.#tables[name] ??= this.#interpolated(this.maps[name]));
  }

  /** A number in three digits, with a true minus sign. */
  static text(value) {
    if (value === 0) return "0";
    const size = Math.abs(value);
    const digits = size >= 1000 || size < 0.001 ? size.toExponential(1) : String(Number(size.toPrecision(3)));
    return (value < 0 ? "\u2212" : "+") + digits.replace("e-", "e\u2212").replace("e+", "e");
  }

  static #tables = {};

  static #interpolated(stops) {
    const channels = stops.map((stop) => [1, 3, 5].map((start) => parseInt(stop.slice(start, start + 2), 16)));
    const table = new Uint8Array(3 * this.entries);
    for (let entry = 0; entry < this.entries; entry++) {
      const place = (entry / (this.entries - 1)) * (stops.length - 1);
      const left = Math.min(Math.floor(place), stops.length - 2);
      for (let channel = 0; channel < 3; channel++) {
        const [from, to] = [channels[left][channel], channels[left + 1][channel]];
        table[3 * entry + channel] = Math.round(from + (to - from) * (place - left));
      }
    }
    return table;
  }

  /** An empty canvas; an old one serves again, as browsers take long to collect thousands of them. */
  static #canvasOf(width, height, old = null) {
    return Object.assign(old ?? document.createElement("canvas"), { width, height });
  }

  static #bar(colors) {
    const [bar, table] = [this.#canvasOf(this.entries, 1), this.table(colors)];
    const pixels = new ImageData(this.entries, 1);
    for (let entry = 0; entry < this.entries; entry++) {
      pixels.data.set([...table.subarray(3 * entry, 3 * entry + 3), 255], 4 * entry);
    }
    bar.getContext("2d").putImageData(pixels, 0, 0);
    return bar;
  }

  /** Look up a colour and an opacity for every value. */
  #color() {
    if (!this.#map) return;
    const { values, width, height, picture, scale } = this.#map;
    const [table, middle] = [Heatmap.table(this.#colors), (Heatmap.entries - 1) / 2];
    const opacity = picture ? this.#opacity : 1;
    const palette = new Uint32Array(Heatmap.entries); // RGBA of each entry, as bytes
    const bytes = new Uint8Array(palette.buffer);
    for (let entry = 0; entry < Heatmap.entries; entry++) {
      const strength = Math.abs(entry - middle) / middle;
      bytes.set(table.subarray(3 * entry, 3 * entry + 3), 4 * entry);
      bytes[4 * entry + 3] = opacity ? Math.round(255 * strength ** (1 / opacity - 1)) : 0;
    }
    const image = new ImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    for (let place = 0; place < pixels.length; place++) {
      const share = Math.min(1, Math.max(-1, values[place] / scale));
      pixels[place] = palette[Math.round(share * middle) + middle];
    }
    this.#layer = Heatmap.#canvasOf(width, height, this.#layer);
    this.#layer.getContext("2d").putImageData(image, 0, 0);
    this.#ground = this.#faded();
    const factor = Math.max(1, Math.round(this.#resolution / Math.max(width, height)));
    if (this.#canvas.width !== width * factor || this.#canvas.height !== height * factor) {
      Object.assign(this.#canvas, { width: width * factor, height: height * factor });
    }
    this.#draw();
    this.#explainColors();
  }

  #draw() {
    const context = this.#canvas.getContext("2d");
    this.#paint(context, 0, 0, this.#canvas.width, this.#canvas.height);
    if (!this.#point) return;
    const factor = this.#canvas.width / this.#map.width;
    const [x, y, side] = [this.#point.x * factor, this.#point.y * factor, Math.max(factor, 12)];
    const shift = (side - factor) / 2;
    for (const [color, grow] of [["#000000", 1.5], ["#ffffff", 0]]) {
      context.strokeStyle = color;
      context.lineWidth = 1.5;
      context.strokeRect(x - shift - grow, y - shift - grow, side + 2 * grow, side + 2 * grow);
    }
  }

  #paint(context, left, top, wide, tall) {
    if (!this.#map) return;
    const { width } = this.#map;
    context.imageSmoothingEnabled = this.#ground.width > width; // what is as coarse as the map is shown as coarse
    context.drawImage(this.#ground, left, top, wide, tall);
    context.imageSmoothingEnabled = wide < Heatmap.coarse * width;
    context.imageSmoothingQuality = "high";
    context.drawImage(this.#layer, left, top, wide, tall);
  }

  /** What is below the relevance: the picture, whose colours give way to those of the relevance, on neutral paper. */
  #faded() {
    const { picture } = this.#map;
    const [wide, tall] = [picture?.naturalWidth ?? picture?.width, picture?.naturalHeight ?? picture?.height];
    const ground = Heatmap.#canvasOf(wide ?? 1, tall ?? 1, this.#ground);
    const context = ground.getContext("2d");
    const cover = (opacity, operation) => {
      context.globalAlpha = opacity;
      context.globalCompositeOperation = operation;
      context.fillRect(0, 0, ground.width, ground.height);
    };
    context.fillStyle = `rgb(${this.neutral.join(" ")})`;
    cover(1, "source-over");
    if (!picture) return ground;
    context.drawImage(picture, 0, 0);
    const strength = Math.min(1, 2 * this.#opacity);
    cover(strength, "saturation");
    cover(0.4 * strength, "source-over");
    return ground;
  }

  #ends() {
    const scale = Heatmap.text(this.#map.scale).slice(1);
    return [`against \u2212${scale}`, "0", `+${scale} for`];
  }

  #explainColors() {
    if (!this.#legend) return;
    const bar = Heatmap.#bar(this.#colors);
    bar.className = "heatmap-bar";
    bar.setAttribute("aria-hidden", "true");
    const ends = Object.assign(document.createElement("div"), { className: "heatmap-ends" });
    ends.append(...this.#ends().map((text) => Object.assign(document.createElement("span"), { textContent: text })));
    this.#legend.replaceChildren(bar, ends);
  }

  #listen() {
    const canvas = this.#canvas;
    canvas.tabIndex = 0;
    canvas.addEventListener("pointermove", (event) => this.#pointAt(event));
    canvas.addEventListener("pointerdown", (event) => this.#pointAt(event));
    canvas.addEventListener("pointerleave", () => this.#moveTo(null));
    canvas.addEventListener("blur", () => this.#moveTo(null));
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    canvas.addEventListener("keydown", (event) => {
      const step = steps[event.key];
      if (!step || !this.#map || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      const { width, height } = this.#map;
      const from = this.#point ?? { x: Math.floor(width / 2), y: Math.floor(height / 2) };
      const stride = event.shiftKey ? 10 : 1;
      this.#moveTo(this.#inside({ x: from.x + stride * step[0], y: from.y + stride * step[1] }));
    });
  }

  #pointAt(event) {
    if (!this.#map) return;
    const box = this.#canvas.getBoundingClientRect();
    const x = Math.floor(((event.clientX - box.left) / box.width) * this.#map.width);
    const y = Math.floor(((event.clientY - box.top) / box.height) * this.#map.height);
    this.#moveTo(this.#inside({ x, y }));
  }

  #inside({ x, y }) {
    const { width, height } = this.#map;
    return { x: Math.min(width - 1, Math.max(0, x)), y: Math.min(height - 1, Math.max(0, y)) };
  }

  #moveTo(point) {
    if (!point && !this.#point) return;
    this.#point = point;
    if (this.#map) this.#draw();
    this.#tell();
  }

  #tell() {
    const point = this.#point;
    const value = point && this.#map ? this.#map.values[point.y * this.#map.width + point.x] : null;
    this.#onpoint?.(value === null ? null : { ...point, value });
  }
}
