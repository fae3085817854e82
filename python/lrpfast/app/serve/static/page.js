/* The page: what is drawn or dropped, what the server says of it, and what of that is shown. */

import { Drawing, inked } from "./drawing.js";
import { receive } from "./picture.js";
import { Refusal, explain, model, see } from "./server.js";
import { Settings } from "./settings.js";

/** Predictions that are listed for a picture. */
const LISTED = 6;

/** Milliseconds after the last change at which the address gets it; browsers allow few changes a second. */
const REST = 300;

const $ = (id) => document.getElementById(id);
const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;
const signed = (value) => Heatmap.text(value).replace("+", "");

class Page {
  #about; // what the server said of the model
  #settings;
  #drawing = null;
  #photo = null; // {pixels, image, name} of a picture
  #rows = []; // {row, radio, thumb, name, share, bar} of the listed classes
  #heatmap;
  #answer = null;
  #account = ""; // what the relevance adds up to
  #target = null; // the class that was chosen; null: the most probable
  #running = false;
  #stale = false;
  #since = null; // when the first change came that no question has asked about yet
  #resting = null;

  constructor(about) {
    this.#about = about;
    const opacity = about.draws ? 0.7 : 0.6;
    this.#settings = new Settings(about, opacity, () => this.#ask(), () => this.#look());
    this.#heatmap = new Heatmap($("map"), {
      legend: $("legend"),
      onpoint: (point) => this.#tellPoint(point),
      resolution: about.draws ? 448 : 672, // squares need fewer pixels than photographs, and keep up with the hand
    });
    const size = `${about.width} × ${about.height}`;
    $("subject").textContent = about.draws ? "What the model reads, and why" : `${about.name}, ${size} pixels`;
    $("target").replaceChildren(
      new Option("Most probable", ""),
      ...about.classes.map((name, index) => new Option(about.draws ? name : `${index}  ${name}`, index)),
    );
    $("target").addEventListener("change", (event) => {
      this.#choose(event.target.value === "" ? null : Number(event.target.value));
    });
    $("settings").addEventListener("submit", (event) => event.preventDefault());
    $("share").addEventListener("click", () => this.#share());
    $("save").addEventListener("click", () => this.#save());
    addEventListener("hashchange", () => this.#restore());
    if (about.draws) this.#prepareDrawing();
    else this.#preparePicture();
    this.#list(about.draws ? about.classes.length : Math.min(LISTED, about.classes.length));
    document.querySelector("main").hidden = false;
    this.#restore();
    if (about.draws) this.#rehearse();
  }

  #prepareDrawing() {
    const samples = this.#about.samples.map((text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)));
    $("drawing").hidden = false;
    document.body.classList.add("draws");
    $("classes-title").textContent = "For and against each digit";
    $("hints").hidden = false;
    this.#drawing = new Drawing($("pad"), samples, (time) => this.#ask(time));
    $("clear").addEventListener("click", () => this.#clear());
    $("undo").addEventListener("click", () => this.#drawing.undo());
    samples.forEach((sample, place) => {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-label", `Sample ${place + 1}`);
      button.append(inked(sample, (share) => [128, 128, 132, 255 * share]));
      button.addEventListener("click", () => this.#drawing.choose(place));
      $("samples").append(button);
    });
    document.addEventListener("keydown", (event) => this.#key(event));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#drawing.render());
  }

  #preparePicture() {
    $("picture").hidden = false;
    $("classes-title").textContent = "Predictions";
    receive({ drop: $("drop"), input: $("file"), onfile: (file) => this.#open(file) });
  }

  #key(event) {
    const typing = event.target.matches("select, input[type=text]");
    if (event.altKey || typing) return;
    if ((event.ctrlKey || event.metaKey) && event.key === "z") this.#drawing.undo();
    else if (event.ctrlKey || event.metaKey) return;
    else if (event.key === "Escape" || event.key === "Delete") this.#clear();
    else if (/^[0-9]$/.test(event.key)) this.#choose(Number(event.key));
    else return;
    event.preventDefault();
  }

  #clear() {
    this.#target = null;
    this.#drawing.clear();
  }

  /** A row, or a tile, for each of the classes that are listed. */
  #list(count) {
    for (let place = 0; place < count; place++) {
      const row = document.createElement("label");
      const part = (kind, name) => row.appendChild(Object.assign(document.createElement(kind), { className: name }));
      const radio = Object.assign(part("input", "unseen"), { type: "radio", name: "class", disabled: true });
      const thumb = this.#drawing ? new Heatmap(part("canvas", "thumb"), { resolution: 112 }) : null;
      if (thumb) row.querySelector("canvas").setAttribute("aria-hidden", "true");
      const [name, share, bar] = [part("span", "name"), part("span", "share"), part("span", "bar")];
      radio.addEventListener("change", () => this.#choose(Number(radio.value)));
      if (this.#drawing) [radio.value, name.textContent] = [place, this.#about.classes[place]];
      this.#rows.push({ row, radio, thumb, name, share, bar });
      $("classes").append(row);
    }
  }

  #choose(target) {
    this.#target = target !== null && target in this.#about.classes ? target : null;
    if (this.#drawing) this.#show();
    else this.#ask();
    this.#remember();
  }

  async #open(file) {
    if (file.size > this.#about.bytes) {
      this.#complain(`${file.name} is larger than ${Math.round(this.#about.bytes / 2 ** 20)} MB. Scale it down first.`);
      return;
    }
    document.body.classList.add("busy");
    try {
      const { pixels, shown } = await see(file);
      const image = $("photo");
      URL.revokeObjectURL(image.src);
      image.src = URL.createObjectURL(shown);
      await image.decode();
      image.alt = image.dataset.name = file.name;
      image.hidden = false;
      $("drop").classList.remove("empty");
      this.#photo = { pixels, image, name: file.name };
      const { width, height } = this.#about;
      $("photo-note").textContent = `${file.name}, as the model sees it: ${width} × ${height}`;
      this.#target = null;
      this.#ask();
    } catch (error) {
      this.#complain(error instanceof Refusal ? `${file.name}: ${error.message}` : String(error));
    } finally {
      document.body.classList.remove("busy");
    }
  }

  get #input() {
    return this.#drawing ? (this.#drawing.empty ? null : this.#drawing.pixels()) : this.#photo?.pixels;
  }

  /** What is asked for: all classes of a drawing, one of a picture. */
  get #query() {
    const wanted = this.#drawing ? this.#about.classes.map((_, index) => index) : this.#target;
    return { ...this.#settings.query, ...(wanted !== null && { target: String(wanted) }) };
  }

  /** Ask for an explanation of what is there now; while an answer is under way, only the newest question waits. */
  async #ask(time = performance.now()) {
    this.#since ??= time;
    this.#remember();
    this.#stale = true;
    if (this.#running) return;
    this.#running = true;
    while (this.#stale) {
      this.#stale = false;
      await this.#askOnce().catch((error) => this.#trouble(error));
    }
    this.#running = false;
  }

  async #askOnce() {
    const [input, photo, since] = [this.#input, this.#photo, this.#since];
    this.#since = null;
    if (!input) {
      this.#forget();
      return;
    }
    document.body.classList.add("asking");
    const answer = await explain(input, this.#query).finally(() => document.body.classList.remove("asking"));
    this.#answer = { ...answer, input, photo, preset: this.#settings.preset };
    $("alert").hidden = true;
    this.#show();
    afterPaint(() => performance.measure("change to answer", { start: since, end: performance.now() }));
  }

  /** Do unseen all that an answer takes, so that the first stroke is answered as fast as later ones. */
  async #rehearse() {
    const input = new Uint8Array(this.#about.width * this.#about.height);
    const answer = await explain(input, this.#query).catch(() => null);
    if (!answer || this.#answer || this.#running) return; // a real one has come first
    this.#answer = { ...answer, input };
    this.#look();
    this.#forget();
  }

  async #trouble(error) {
    this.#complain(error.message);
    if (!(error instanceof Refusal)) console.error(error);
    if (error.wait == null) return;
    await new Promise((go) => setTimeout(go, error.wait));
    this.#since ??= performance.now();
    this.#stale = true;
  }

  #complain(message) {
    $("alert").textContent = message;
    $("alert").hidden = false;
  }

  #forget() {
    this.#answer = null;
    this.#heatmap.clear();
    this.#show();
  }

  get #explained() {
    return this.#target ?? argmax(this.#answer.scores);
  }

  /** Show the answer: the chosen class large, all listed classes small. */
  #show() {
    const answer = this.#answer;
    $("target").value = this.#target ?? "";
    $("map").hidden = $("save").disabled = !answer;
    $("classes").hidden = !answer && !this.#drawing; // there is nothing to list
    if (this.#drawing) $("clear").disabled = $("undo").disabled = this.#drawing.empty;
    $("waiting").textContent = this.#drawing ? "Draw, and see what speaks for each digit." : "What speaks for the prediction appears here.";
    if (!answer) {
      $("why").textContent = "Why";
      for (const id of ["score", "account"]) $(id).textContent = "";
      for (const { row, radio, thumb, name, share, bar } of this.#rows) {
        radio.disabled = true;
        radio.checked = false;
        row.classList.remove("predicted");
        thumb?.clear();
        [share.textContent, bar.style.backgroundSize] = ["", "0"];
        if (!thumb) name.textContent = "";
      }
      return;
    }
    const { scores, probabilities, targets, sums } = answer;
    const [best, explained] = [argmax(scores), this.#explained];
    const name = this.#about.classes[explained];
    $("why").textContent = `Why ${name}`;
    $("score").textContent = `${percent(probabilities[explained])}, score ${signed(scores[explained])}`;
    $("map").setAttribute("aria-label", `Relevance for ${name}. Arrow keys read values.`);
    this.#say(`${this.#about.classes[best]}, ${percent(probabilities[best])}`);
    this.#account = accountOf(answer, explained);
    this.#tellPoint(null);
    const order = this.#drawing ? this.#about.classes.map((_, index) => index) : ranking(scores);
    this.#rows.forEach(({ row, radio, name, share, bar }, place) => {
      const index = order[place];
      Object.assign(radio, { disabled: false, value: index, checked: index === explained });
      row.classList.toggle("predicted", index === best);
      name.textContent = this.#about.classes[index];
      share.textContent = percent(probabilities[index], this.#drawing ? 0 : 1);
      bar.style.backgroundSize = `${100 * probabilities[index]}% 100%`;
    });
    this.#look();
  }

  /** Colour what is known anew. */
  #look() {
    this.#remember();
    const { colors, opacity } = this.#settings;
    for (const heatmap of [this.#heatmap, ...this.#rows.map(({ thumb }) => thumb)]) {
      if (heatmap) Object.assign(heatmap, { colors, opacity });
    }
    const answer = this.#answer;
    if (!answer) return;
    const { maps, targets, width, height } = answer;
    const picture = answer.photo?.image ?? this.#inkOn(this.#heatmap.neutral);
    const place = targets.indexOf(this.#explained);
    if (place < 0) return; // another class was chosen, whose map is under way
    const scale = Math.max(...maps.map((map) => Heatmap.fullScale(map)));
    this.#heatmap.show({ values: maps[place], width, height, picture, scale });
    this.#rows.forEach(({ thumb }, index) => thumb?.show({ values: maps[index], width, height, picture, scale }));
  }

  /** What the model was shown, dark on light paper or light on dark paper. */
  #inkOn(paper) {
    const ink = paper[0] > 127 ? 0 : 255;
    return inked(this.#answer.input, (share) => [...paper.map((part) => part + (ink - part) * share), 255]);
  }

  #tellPoint(point) {
    $("account").textContent = point ? `x ${point.x}, y ${point.y}: ${Heatmap.text(point.value)}` : this.#account;
  }

  #say(words) {
    if ($("said").textContent !== words) $("said").textContent = words;
  }

  /** Write the state to the address, when it has rested for a moment. */
  #remember() {
    clearTimeout(this.#resting);
    this.#resting = setTimeout(() => history.replaceState(null, "", this.#link()), REST);
  }

  #link() {
    const state = {
      ...this.#settings.encoded(),
      ...(this.#target !== null && { class: this.#target }),
      ...this.#drawing?.encoded(),
    };
    const hash = new URLSearchParams(state).toString();
    return location.pathname + (hash && `#${hash}`);
  }

  #restore() {
    const link = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
    this.#settings.restore(link);
    this.#target = link.class in this.#about.classes ? Number(link.class) : null;
    if (this.#drawing) this.#drawing.restore(link);
    else this.#ask();
    this.#show();
  }

  async #share() {
    history.replaceState(null, "", this.#link());
    try {
      await navigator.clipboard.writeText(location.href);
      this.#flash($("share"), "Copied");
    } catch {
      this.#complain("The browser does not let pages copy here. The link is in the address bar.");
    }
  }

  #save() {
    const name = this.#about.classes[this.#explained];
    const input = this.#drawing ? "digit" : this.#photo.name;
    const note = `${input}, ${$("score").textContent}, ${this.#answer.preset.name}`;
    this.#heatmap.toCanvas(`Why ${name}`, note).toBlob((blob) => {
      const url = URL.createObjectURL(blob);
      const file = `${input.replace(/\.[^.]*$/, "")}_${name}_${this.#answer.preset.name}.png`;
      const link = Object.assign(document.createElement("a"), { href: url, download: file.replace(/[^\w.-]+/g, "_") });
      link.click();
      setTimeout(() => URL.revokeObjectURL(url), 1000);
    });
  }

  #flash(button, words) {
    const usual = button.textContent;
    button.textContent = words;
    setTimeout(() => (button.textContent = usual), 1500);
  }
}

/** What the relevance of a class adds up to, and what it took. */
function accountOf({ targets, sums, scores, preset, seconds }, explained) {
  const sum = sums[targets.indexOf(explained)];
  if (sum === undefined) return ""; // its map is under way
  const took = `${Math.max(1, Math.round(1000 * seconds))} ms`;
  const score = scores[explained];
  const share = preset.sums && score ? `, ${Math.round((100 * sum) / score)} % of the score` : "";
  return `Adds up to ${signed(sum)}${share} (${took})`;
}

function argmax(values) {
  return values.reduce((best, value, index) => (value > values[best] ? index : best), 0);
}

function ranking(values) {
  return Array.from(values.keys()).sort((a, b) => values[b] - values[a]);
}

/** Call when what was drawn just now has been painted. */
function afterPaint(call) {
  requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = call;
    port2.postMessage(null);
  });
}

try {
  new Page(await model());
} catch (error) {
  $("alert").textContent = error.message;
  $("alert").hidden = false;
  throw error;
}
