/* The report: shows the data that the page holds, with Heatmap for maps and Trace for what has one axis. */

/** A signal or a vector with its relevance: the input as a line over the colours, and bars below, up for, down against. */
class Trace {
  /** Width of an element from which on it has a level of its own; narrower ones make a line. */
  static stepped = 12;

  #canvas;
  #legend;
  #onpoint;
  #colors = "seismic";
  #opacity = 1;
  #row = null; // {values, input, scale}
  #point = null;

  constructor(canvas, { legend = null, onpoint = null } = {}) {
    this.#canvas = canvas;
    this.#onpoint = onpoint;
    canvas.classList.add("heatmap");
    canvas.setAttribute("role", "img");
    canvas.tabIndex = 0;
    this.#legend = new Heatmap(document.createElement("canvas"), { legend });
    canvas.addEventListener("pointermove", (event) => this.#pointAt(event));
    canvas.addEventListener("pointerdown", (event) => this.#pointAt(event));
    for (const end of ["pointerleave", "blur"]) canvas.addEventListener(end, () => this.#moveTo(null));
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step || !this.#row || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      this.#moveTo((this.#point ?? this.#row.values.length >> 1) + step * (event.shiftKey ? 10 : 1));
    });
    new ResizeObserver(() => this.#draw()).observe(canvas);
  }

  set colors(name) {
    this.#colors = this.#legend.colors = name;
    this.#draw();
  }

  set opacity(share) {
    this.#opacity = share;
    this.#draw();
  }

  show(row) {
    this.#row = row;
    this.#legend.show({ values: row.values, width: row.values.length, height: 1, scale: row.scale });
    this.#draw();
    this.#moveTo(this.#point);
  }

  /** The same on a canvas of its own, for paper. */
  toCanvas() {
    const [wide, tall] = [960, 400];
    const sheet = Object.assign(document.createElement("canvas"), { width: 2 * wide, height: 2 * tall });
    const context = sheet.getContext("2d");
    context.scale(2, 2);
    this.#paint(context, wide, tall, "#1c1c1e", "#8c8c90");
    return sheet;
  }

  #draw() {
    const ratio = devicePixelRatio || 1;
    const wide = this.#canvas.clientWidth;
    if (!this.#row || !wide) return;
    const tall = Math.round(Math.min(420, Math.max(240, 0.45 * wide)));
    Object.assign(this.#canvas, { width: wide * ratio, height: tall * ratio });
    this.#canvas.style.height = `${tall}px`;
    const context = this.#canvas.getContext("2d");
    context.scale(ratio, ratio);
    const style = getComputedStyle(this.#canvas);
    this.#paint(context, wide, tall, style.getPropertyValue("--ink"), style.getPropertyValue("--edge"));
  }

  #paint(context, wide, tall, ink, edge) {
    const { values, input, scale } = this.#row;
    const [table, middle] = [Heatmap.table(this.#colors), (Heatmap.entries - 1) / 2];
    const [count, pad] = [values.length, 12];
    const step = (wide - 2 * pad) / count;
    const upper = { top: pad, height: 0.52 * tall };
    const lower = { top: upper.top + upper.height + pad, height: tall - upper.height - 3 * pad };
    const [least, most] = [values.reduce((a, b) => Math.min(a, b), 0), values.reduce((a, b) => Math.max(a, b), 0)];
    const unit = lower.height / (most - least || 1);
    const zero = lower.top + most * unit;
    const fine = context.getTransform().a; // columns begin and end with pixels of the screen
    const columns = Math.min(count, Math.floor((wide - 2 * pad) * fine));
    const strongest = (from, to) => values.subarray(from, to).reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a), 0);
    const edgeOf = (column) => Math.round((pad + (column / columns) * (wide - 2 * pad)) * fine) / fine;
    for (let column = 0; column < columns; column++) {
      const [from, to] = [column, column + 1].map((place) => Math.floor((place * count) / columns));
      const [value, left] = [strongest(from, to), edgeOf(column)];
      const width = edgeOf(column + 1) - left;
      const entry = middle + Math.sign(value) * (middle >> 1); // the colour tells the sign, its strength the size
      context.fillStyle = `rgb(${table.subarray(3 * entry, 3 * entry + 3).join(" ")})`;
      context.globalAlpha = this.#opacity * Math.min(1, Math.abs(value) / scale);
      context.fillRect(left, upper.top, width, upper.height);
      context.globalAlpha = 0.85;
      context.fillRect(left, zero, width > 4 ? width - 1 : width, -value * unit);
    }
    context.globalAlpha = 1;
    context.fillStyle = edge;
    context.fillRect(pad, zero - 0.5, wide - 2 * pad, 1);
    const [low, high] = [Math.min(...input), Math.max(...input)];
    context.beginPath();
    input.forEach((value, place) => {
      const height = upper.top + 4 + (upper.height - 8) * (1 - (value - low) / (high - low || 1));
      const [left, right] = [pad + place * step, pad + (place + 1) * step];
      if (step < Trace.stepped) context.lineTo((left + right) / 2, height);
      else {
        context.moveTo(left, height);
        context.lineTo(right, height);
      }
    });
    Object.assign(context, { strokeStyle: ink, lineWidth: 1.25, lineJoin: "round" });
    context.stroke();
    if (this.#point === null) return;
    context.fillStyle = ink;
    context.fillRect(pad + (this.#point + 0.5) * step - 0.5, pad, 1, tall - 2 * pad);
  }

  #pointAt(event) {
    if (!this.#row) return;
    const box = this.#canvas.getBoundingClientRect();
    this.#moveTo(Math.floor(((event.clientX - box.left - 12) / (box.width - 24)) * this.#row.values.length));
  }

  #moveTo(place) {
    const last = this.#row.values.length - 1;
    this.#point = place === null ? null : Math.min(last, Math.max(0, place));
    this.#draw();
    this.#onpoint?.(this.#point === null ? null : { x: this.#point, value: this.#row.values[this.#point] });
  }
}

class Report {
  /** Layers up to which all are shown at once; of more, those that absorb something come first. */
  static many = 24;

  /** Opacity of the strongest colour behind words, which are to be read. */
  static wash = 0.6;

  /** Longest side of what is taken for a drawing. */
  static drawing = 64;

  /** Share of the score from which on a layer counts as absorbing something. */
  static notable = 0.0005;

  #data;
  #depth; // slices of a volume
  #height;
  #width;
  #main; // a Heatmap or a Trace
  #input = null; // the Heatmap of the input alone
  #chosen = { sample: 0, explanation: 0, method: 0, slice: 0 };
  #tiles = {}; // of what can be chosen: {map, name, share}
  #pictures = []; // of the samples
  #values = new Map(); // decoded maps
  #scales = new Map(); // relevance of the full colour of a map alone
  #pixels = null; // of the input that is shown, in the shape of the map
  #colors = null; // null: what suits a light or a dark page
  #whole = false; // whether all layers are shown
  #printing = false;
  #dark = matchMedia("(prefers-color-scheme: dark)");

  constructor(data, pictures) {
    this.#data = data;
    this.#pictures = pictures;
    const [width, height = 1, depth = 1] = [...data.shape].reverse();
    [this.#width, this.#height, this.#depth] = [width, height, depth];
    if (data.colors) {
      Heatmap.maps[data.colors.name] ??= data.colors.stops;
      this.#colors = data.colors.name;
    }
    const onpoint = (point) => this.#tell(point);
    if (this.#isRow) {
      document.body.classList.add("row");
      $("input-panel").hidden = true;
      this.#main = new Trace($("map"), { legend: $("legend"), onpoint });
    } else {
      this.#input = new Heatmap($("input"), { onpoint });
      this.#main = new Heatmap($("map"), { legend: $("legend"), onpoint });
    }
    const [{ explanations, predictions }] = data.samples;
    const best = explanations.findIndex(({ index }) => index !== null && index === predictions[0]?.index);
    this.#chosen.explanation = Math.max(0, best);
    this.#offer();
    this.#prepareControls();
    this.#tellFacts();
    this.#show();
  }

  get #isRow() {
    return this.#data.shape.length === 1;
  }

  get #sample() {
    return this.#data.samples[this.#chosen.sample];
  }

  get #explanation() {
    return this.#sample.explanations[this.#chosen.explanation];
  }

  get #method() {
    return this.#data.methods[this.#chosen.method];
  }

  get #result() {
    return this.#explanation.results[this.#chosen.method];
  }

  get #colorName() {
    return this.#colors ?? (this.#dark.matches && !this.#printing ? "night" : "seismic");
  }

  #resultAt({ sample, explanation, method }) {
    return this.#data.samples[sample].explanations[explanation].results[method];
  }

  /** The values of a result in all slices. */
  #valuesOf(result) {
    if (!this.#values.has(result)) this.#values.set(result, Heatmap.decode(result.relevance));
    return this.#values.get(result);
  }

  /** The map of a result: all of it, or the slice of a volume. */
  #map(result) {
    const [size, { slice }] = [this.#width * this.#height, this.#chosen];
    return this.#valuesOf(result).subarray(slice * size, (slice + 1) * size);
  }

  /** The full colour that all explanations of a sample by a method share, so that they can be compared. */
  #scale({ sample, method }) {
    const alone = ({ results: { [method]: result } }) => {
      if (!this.#scales.has(result)) this.#scales.set(result, Heatmap.fullScale(this.#valuesOf(result)));
      return this.#scales.get(result);
    };
    return Math.max(...this.#data.samples[sample].explanations.map(alone));
  }

  /** The picture of a sample, or the part of it that is a slice. */
  #picture(sample) {
    const whole = this.#pictures[sample];
    if (!whole || this.#depth === 1) return whole;
    const part = Object.assign(document.createElement("canvas"), { width: this.#width, height: this.#height });
    part.getContext("2d").drawImage(whole, 0, -this.#chosen.slice * this.#height);
    return part;
  }

  /** The picture below the relevance: that of a drawing in dark on light paper, or light on dark. */
  #under(sample) {
    const picture = this.#picture(sample);
    if (!picture || Math.max(this.#width, this.#height) > Report.drawing) return picture;
    const paper = Object.assign(document.createElement("canvas"), { width: this.#width, height: this.#height });
    const context = paper.getContext("2d");
    context.drawImage(picture, 0, 0, this.#width, this.#height);
    const { data } = context.getImageData(0, 0, this.#width, this.#height);
    const border = (data[0] + data[4 * (this.#width - 1)] + data.at(-4) + data.at(-4 * this.#width)) / 4;
    if (border > 127 === this.#main.neutral[0] > 127) return picture;
    context.globalCompositeOperation = "difference";
    context.fillStyle = "#ffffff";
    context.fillRect(0, 0, this.#width, this.#height);
    return paper;
  }

  /** A tile for each sample, method and explanation, where there are several. */
  #offer() {
    const { samples, methods } = this.#data;
    const explained = samples[0].explanations;
    const groups = [
      ["sample", "Input", samples.map(({ name }) => name)],
      ["method", "Method", methods.map(({ name }) => name)],
      ["explanation", "For and against each class", explained.map(({ name }) => name)],
    ];
    for (const [kind, title, names] of groups) {
      if (names.length < 2) continue;
      const field = make("fieldset", $("choices"));
      make("legend", field, "", title);
      const tiles = make("div", field, names.every((name) => name.length < 5) ? "tiles narrow" : "tiles");
      this.#tiles[kind] = names.map((name, place) => {
        const label = make("label", tiles);
        const radio = Object.assign(make("input", label, "unseen"), { type: "radio", name: kind, value: place });
        radio.checked = place === this.#chosen[kind];
        radio.addEventListener("change", () => this.#choose(kind, place));
        const canvas = make("canvas", label);
        canvas.setAttribute("aria-hidden", "true");
        const map = new Heatmap(canvas, { resolution: 160 });
        return { map, name: breakable(make("span", label, "name"), name), share: make("span", label, "share") };
      });
    }
  }

  #choose(kind, place) {
    this.#chosen[kind] = place;
    this.#show();
  }

  #prepareControls() {
    $("colors").replaceChildren(...Object.keys(Heatmap.maps).map((name) => new Option(name, name)));
    $("colors").addEventListener("change", () => {
      this.#colors = $("colors").value;
      this.#color();
    });
    $("opacity").addEventListener("input", () => this.#fade());
    this.#dark.addEventListener("change", () => this.#color());
    if (this.#depth > 1) {
      $("slice-field").hidden = false;
      $("slice").max = this.#depth - 1;
      $("slice").value = this.#chosen.slice = this.#depth >> 1;
      $("slice").addEventListener("input", () => this.#choose("slice", Number($("slice").value)));
    }
    $("more").addEventListener("click", () => {
      this.#whole = !this.#whole;
      this.#chart();
    });
    addEventListener("beforeprint", () => this.#print());
    addEventListener("afterprint", () => this.#printed());
  }

  #show() {
    const { sample, slice } = this.#chosen;
    const { score, probability, index } = this.#explanation;
    const [{ rival }, { name }] = [this.#sample, this.#method];
    const [width, height, picture] = [this.#width, this.#height, this.#picture(sample)];
    const why = this.#why(this.#explanation.name);
    this.#pixels = null;
    $("title").textContent = document.title = why;
    const facts = [probability === null ? "" : percent(probability), score === null ? "" : `score ${figure(score)}`];
    $("subject").textContent = [...facts, this.#sample.name, this.#data.model, name].filter(Boolean).join(" · ");
    const label = `${why}: relevance by ${name}. Arrow keys read values.`;
    $("map").setAttribute("aria-label", label);
    $("slice-value").textContent = `${slice + 1} of ${this.#depth}`;
    if (this.#input) {
      const scale = 1;
      $("input").setAttribute("aria-label", `Input ${this.#sample.name}`);
      $("input-note").textContent = `${this.#sample.note}, ${[...this.#data.shape].reverse().join(" × ")}`;
      this.#input.show({ values: this.#map(this.#result), width, height, picture, scale });
      this.#input.opacity = 0;
    }
    this.#listPredictions(index);
    this.#color();
    this.#tellAccount();
    this.#tell(null);
  }

  #why(name) {
    return `Why ${name}${this.#sample.rival ? ` rather than ${this.#sample.rival}` : ""}`;
  }

  #listPredictions(explained) {
    const { predictions } = this.#sample;
    $("predictions-block").hidden = !predictions.length;
    const most = Math.max(...predictions.map(({ score }) => Math.abs(score)));
    const rows = predictions.map(({ index, name, score, probability }) => {
      const row = make("li", null, index === explained ? "explained" : "");
      make("span", row, "name", name);
      make("span", row, "share", probability === null ? figure(score) : percent(probability));
      const bar = make("span", make("span", row, "bar"));
      bar.style.width = `${100 * (probability ?? Math.max(0, score) / (most || 1))}%`;
      return row;
    });
    $("predictions").replaceChildren(...rows);
  }

  /** Colour what is shown, large and small. */
  #color() {
    const colors = this.#colorName;
    $("colors").value = colors;
    const [width, height] = [this.#width, this.#height];
    const { sample } = this.#chosen;
    this.#main.colors = colors;
    this.#fade();
    const scale = this.#scale(this.#chosen);
    const picture = this.#under(sample);
    const values = this.#map(this.#result);
    if (this.#isRow) {
      this.#main.show({ values, input: this.#trace(this.#sample), scale });
      this.#tellWords(values, scale);
    } else this.#main.show({ values, width, height, picture, scale });
    for (const [kind, tiles] of Object.entries(this.#tiles)) {
      tiles.forEach(({ map, name, share }, place) => {
        const here = { ...this.#chosen, [kind]: place };
        const result = this.#resultAt(here);
        map.colors = colors;
        map.show({ values: this.#map(result), width, height, scale: this.#scale(here) });
        if (kind === "explanation") breakable(name, this.#sample.explanations[place].name);
        share.textContent = this.#share(kind, place, result);
      });
    }
    if (this.#input) this.#input.colors = colors;
    this.#inside();
  }

  /** Let the input show through the relevance as much as is wanted. */
  #fade() {
    this.#main.opacity = $("opacity").value / 100;
    $("opacity-value").textContent = `${$("opacity").value} %`;
  }

  /** The words of a text, or the names of features, in the colours of their relevance. */
  #tellWords(values, scale) {
    const { words } = this.#sample;
    $("words").hidden = !words.length;
    const [table, middle] = [Heatmap.table(this.#colorName), (Heatmap.entries - 1) / 2];
    const shaded = words.map((text, place) => {
      const entry = middle + Math.sign(values[place]) * (middle >> 1);
      const strength = Report.wash * Math.min(1, Math.abs(values[place]) / scale);
      const word = make("span", null, "", text);
      word.style.background = `rgb(${table.subarray(3 * entry, 3 * entry + 3).join(" ")} / ${strength})`;
      word.title = Heatmap.text(values[place]);
      return word;
    });
    $("words").replaceChildren(...shaded);
  }

  #trace(sample) {
    if (!this.#values.has(sample)) this.#values.set(sample, Heatmap.decode(sample.trace));
    return this.#values.get(sample);
  }

  #share(kind, place, result) {
    if (kind === "sample") return this.#data.samples[place].predictions[0]?.name ?? "";
    if (kind === "method") return `adds up to ${figure(result.sum)}`;
    const { score, probability } = this.#sample.explanations[place];
    return probability !== null ? percent(probability) : score === null ? "" : figure(score);
  }

  /** What is under the pointer, or what the map adds up to. */
  #tell(point) {
    if (!point) {
      $("value").textContent = `Adds up to ${figure(this.#result.sum)}. Point at the map, or use arrow keys, for values.`;
      return;
    }
    const { x, y, value } = point;
    const place = this.#isRow ? (this.#sample.words[x] ?? `Place ${x}`) : `x ${x}, y ${y}`;
    const relevance = this.#isRow ? value : this.#map(this.#result)[y * this.#width + x];
    $("value").textContent = `${place}: relevance ${Heatmap.text(relevance)}, ${this.#inputAt(x, y)}`;
  }

  #inputAt(x, y) {
    if (this.#isRow) return `input ${figure(this.#trace(this.#sample)[x])}`;
    this.#pixels ??= this.#shrunk(this.#picture(this.#chosen.sample));
    const [red, green, blue] = this.#pixels.subarray(4 * (y * this.#width + x));
    const { low, high } = this.#sample;
    if (low === undefined) return `colour ${red} ${green} ${blue}`;
    return `input ${figure(low + (red / 255) * (high - low))}`;
  }

  /** The colours of a picture in the shape of the map, 4 bytes a pixel. */
  #shrunk(picture) {
    const small = Object.assign(document.createElement("canvas"), { width: this.#width, height: this.#height });
    const context = small.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(picture, 0, 0, this.#width, this.#height);
    return context.getImageData(0, 0, this.#width, this.#height).data;
  }

  /** Maps of layers inside, where the report has them. */
  #inside() {
    const { inner } = this.#result;
    $("inside").hidden = !inner.length;
    $("inner").replaceChildren(
      ...inner.map((layer) => {
        const item = make("li");
        const canvas = make("canvas", item, layer.shape.length === 1 ? "strip" : "");
        const values = Heatmap.decode(layer.relevance);
        const [width, height = 1, depth = 1] = [...layer.shape].reverse();
        const first = Math.floor((this.#chosen.slice / this.#depth) * depth) * width * height;
        const map = new Heatmap(canvas, { resolution: 200 });
        map.colors = this.#colorName;
        map.show({ values: values.subarray(first, first + width * height), width, height });
        canvas.setAttribute("aria-label", `Relevance at ${layer.name}`);
        breakable(make("span", item, "name"), layer.name);
        make("span", item, "note", layer.units.join(" × "));
        return item;
      }),
    );
  }

  /** The account: in a sentence, as bars, and as a table. */
  #tellAccount() {
    const { account, sum } = this.#result;
    $("account").hidden = !account.length;
    if (!account.length) return;
    const [[whole]] = account;
    const { conserves } = this.#method;
    const about = conserves && whole !== 0;
    for (const id of ["keys", "chart-box"]) $(id).hidden = !about;
    if (about) {
      const total = (column) => account.reduce((sum, row) => sum + row[column], 0) / whole;
      const parts = [["biases", total(2)], ["stabilizers", total(3)], ["rules", total(4)]];
      const lost = parts.filter(([, share]) => Math.abs(share) >= Report.notable);
      const rest = lost.map(([cause, share]) => `${cause} ${share < 0 ? "added" : "absorbed"} ${percent(Math.abs(share))}`);
      const what = this.#sample.rival ? "difference of the scores" : "score";
      const arrived = `${percent(sum / whole)} of the ${what}, ${figure(whole)}, arrived at the input`;
      $("balance").textContent = `${arrived}${rest.length ? "; " : ""}${listed(rest)}.`;
      this.#chart();
    } else {
      $("more").hidden = true;
      $("balance").textContent = conserves
        ? "What was explained is 0, so there are no shares of it to show."
        : "These are gradients: their sums are no shares of the score. The figures are in the table.";
    }
    this.#table();
  }

  #chart() {
    const { account } = this.#result;
    const whole = account[0][0];
    const rows = account.map(([, ...parts], place) => ({
      names: this.#method.layers[place],
      shares: parts.map((part) => part / whole),
    }));
    const absorbs = ({ shares: [, ...lost] }) => lost.some((share) => Math.abs(share) >= Report.notable);
    const notable = rows.filter(absorbs);
    const folds = rows.length > Report.many && notable.length < rows.length;
    const shown = folds && !this.#whole ? notable : rows;
    $("more").hidden = !folds;
    $("more").textContent = this.#whole ? "Only layers that absorb relevance" : `Show all ${rows.length} layers`;
    const side = (sign) => Math.max(...rows.map(({ shares }) => shares.reduce((sum, x) => sum + Math.max(0, sign * x), 0)));
    const [low, high] = [-side(-1), Math.max(1, side(1))];
    const place = (share) => (100 * (share - low)) / (high - low);
    $("chart").replaceChildren(
      ...shown.map(({ names: [name, operator, rule], shares }) => {
        const row = make("li");
        breakable(make("div", row, "layer"), name);
        breakable(make("div", row, "how"), `${operator}, ${rule}`);
        const bar = make("div", row, "bar");
        bar.setAttribute("aria-hidden", "true");
        const ends = { [-1]: 0, 1: 0 };
        shares.forEach((share, kind) => {
          const sign = share < 0 ? -1 : 1;
          const [from, to] = [ends[sign], ends[sign] + share];
          ends[sign] = to;
          const piece = make("i", bar, Report.kinds[kind][0]);
          piece.hidden = Math.abs(share) < Report.notable;
          piece.style.left = `${place(Math.min(from, to))}%`;
          piece.style.width = `${place(Math.max(from, to)) - place(Math.min(from, to))}%`;
        });
        if (low < -1e-3) make("i", bar, "zero").style.left = `${place(0)}%`;
        const lost = shares.slice(1).reduce((sum, share) => sum + share, 0);
        const text = make("div", row, "lost", Math.abs(lost) >= Report.notable ? percent(lost) : "");
        text.title = "absorbed here, of the score";
        return row;
      }),
    );
    const ticks = [0, 0.5, 1, ...(high > 1.3 ? [high] : []), ...(low < -0.1 ? [low] : [])];
    $("axis").replaceChildren(
      ...ticks.map((tick) => {
        const text = make("span", null, "", percent(tick, 0));
        text.style.left = `${place(tick)}%`;
        text.style.transform = `translateX(-${place(tick)}%)`;
        return text;
      }),
    );
  }

  static kinds = [
    ["down", "handed down"],
    ["bias", "absorbed by the bias"],
    ["stabilizer", "by the stabilizer"],
    ["rule", "by the rule"],
  ];

  #table() {
    const table = make("table");
    const head = make("tr", make("thead", table));
    const titles = ["layer", "operator", "rule", "received", "handed down", "bias", "stabilizer", "by the rule"];
    for (const title of titles) make("th", head, "", title).scope = "col";
    const body = make("tbody", table);
    this.#result.account.forEach((figures, place) => {
      const [row, [name, ...kinds]] = [make("tr", body), this.#method.layers[place]];
      make("th", row, "", name).scope = "row";
      for (const text of [...kinds, ...figures.map(figure)]) make("td", row, "", text);
    });
    $("table-box").replaceChildren(table);
  }

  #tellFacts() {
    for (const [kind, name] of Report.kinds) make("li", $("keys"), kind, name);
    for (const [name, fact] of this.#data.facts) {
      make("dt", $("facts"), "", name);
      const text = make("dd", $("facts"), name === "Command" ? "command" : "", name === "Command" ? "" : fact);
      if (name === "Command") fact.split(" ").forEach((word) => text.append(make("span", null, "", word), " "));
    }
  }

  /** All maps, below each other, in the colours of paper. */
  #print() {
    this.#printing = true;
    document.documentElement.classList.add("printing");
    const chosen = { ...this.#chosen };
    const sheets = [];
    this.#data.samples.forEach(({ name, explanations }, sample) =>
      explanations.forEach((explained, explanation) =>
        this.#data.methods.forEach((method, place) => {
          Object.assign(this.#chosen, { sample, explanation, method: place });
          this.#color();
          const sheet = make("figure");
          make("figcaption", sheet, "", this.#why(explained.name));
          const note = [name, method.name, `adds up to ${figure(this.#result.sum)}`].filter(Boolean).join(", ");
          make("p", sheet, "note", note);
          if (this.#isRow) sheet.append(this.#main.toCanvas());
          else {
            const map = new Heatmap(make("canvas", sheet), { legend: make("div", sheet) });
            Object.assign(map, { colors: this.#colorName, opacity: this.#main.opacity });
            map.show(this.#main.map);
          }
          sheets.push(sheet);
        }),
      ),
    );
    $("prints").replaceChildren(...sheets);
    Object.assign(this.#chosen, chosen);
    this.#show();
  }

  #printed() {
    this.#printing = false;
    document.documentElement.classList.remove("printing");
    $("prints").replaceChildren();
    this.#show();
  }
}

function $(id) {
  return document.getElementById(id);
}

function make(kind, parent = null, className = "", text = "") {
  const element = document.createElement(kind);
  if (className) element.className = className;
  if (text) element.textContent = text;
  parent?.append(element);
  return element;
}

/** The text of an element, which may break after the marks between the parts of a name. */
function breakable(element, text) {
  const parts = text.split(/(?<=[/_.,+])/);
  element.replaceChildren(...parts.flatMap((part) => [part, document.createElement("wbr")]));
  return element;
}

/** A number in three digits, without a sign where it is positive. */
function figure(value) {
  return Heatmap.text(value).replace("+", "");
}

function percent(share, digits = share !== 0 && Math.abs(share) < 0.001 ? 2 : 1) {
  const text = (100 * share).toFixed(digits);
  return `${/^-?[0.]+$/.test(text) ? text.replace("-", "") : text.replace("-", "\u2212")}\u00a0%`;
}

function listed(words) {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

async function begin() {
  const data = JSON.parse($("data").textContent);
  const pictures = data.samples.map(async ({ picture }) => {
    if (!picture) return null;
    const image = new Image();
    image.src = picture;
    await image.decode();
    return image;
  });
  new Report(data, await Promise.all(pictures));
  document.body.dataset.ready = "";
}

begin();
