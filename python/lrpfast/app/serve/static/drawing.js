/* A place to draw in, and the drawing as the model saw digits in its training.
 *
 * Digits of MNIST fit a square of 20 pixels, and their centre of mass is in the middle of 28. So strokes, which are kept
 * as points, are enlarged or reduced to about that size, moved, and only then drawn, always with the same pen: a small
 * digit in a corner is read as well as a large one, and its lines are as thick. A sample is shown to the model as it is,
 * and strokes over it stay where they were drawn.
 */

const SIDE = 28;
const FITTED = 20;
const PEN = 2.4;

/** A drawing is not made larger or smaller than this, so that its first points do not fill the square. */
const SCALES = [0.6, 1.7];

/** Pixels are averages of this many by this many. */
const FINE = 4;

/** Steps of a coordinate in a link, and how far, in steps, a line may be off there. */
const STEPS = 255;
const TOLERANCE = 1.2;

export class Drawing {
  #pad;
  #samples;
  #onchange;
  #strokes = []; // of points [x, y] from 0 to 1
  #sample = null;
  #raster = canvas(FINE * SIDE).getContext("2d", { willReadFrequently: true });

  /** `onchange(time)` is called with the time of the event that changed the drawing. */
  constructor(pad, samples, onchange) {
    this.#pad = pad;
    this.#samples = samples;
    this.#onchange = onchange;
    pad.addEventListener("pointerdown", (event) => this.#begin(event));
    pad.addEventListener("pointermove", (event) => this.#go(event));
    this.render();
  }

  get empty() {
    return this.#sample === null && !this.#strokes.length;
  }

  clear() {
    [this.#strokes, this.#sample] = [[], null];
    this.#changed();
  }

  undo() {
    if (this.#strokes.length) this.#strokes.pop();
    else this.#sample = null;
    this.#changed();
  }

  /** Begin with one of the samples. */
  choose(sample) {
    [this.#strokes, this.#sample] = [[], sample];
    this.#changed();
  }

  /** The drawing for a link: {sample, ink}, where they are. */
  encoded() {
    const bytes = this.#strokes.flatMap((stroke) => {
      const points = simplified(stroke.map((point) => point.map((part) => Math.round(part * STEPS)))).slice(0, 255);
      return [points.length, ...points.flat()];
    });
    const ink = btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
    return { ...(this.#sample !== null && { sample: this.#sample }), ...(ink && { ink }) };
  }

  /** Take over a drawing from a link; what is damaged in it is left out. */
  restore({ sample, ink }) {
    const wanted = Number(sample ?? NaN);
    this.#sample = wanted in this.#samples ? wanted : null;
    this.#strokes = [];
    let bytes = [];
    try {
      bytes = Array.from(atob((ink ?? "").replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
    } catch {
      // a link that was cut has no drawing
    }
    while (bytes.length > 2) {
      const numbers = bytes.splice(0, 1 + 2 * bytes[0]).slice(1);
      const stroke = Array.from({ length: numbers.length >> 1 }, (_, i) => [numbers[2 * i], numbers[2 * i + 1]]);
      if (stroke.length) this.#strokes.push(stroke.map((point) => point.map((part) => part / STEPS)));
    }
    this.#changed();
  }

  /** Ink from 0 to 255 in 28 x 28 pixels, as the model takes it. */
  pixels() {
    const context = this.#raster;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, FINE * SIDE, FINE * SIDE);
    const { scale, left, top } = this.#sample === null ? fitted(this.#strokes) : { scale: 1, left: 0, top: 0 };
    const whole = FINE * scale * SIDE;
    context.setTransform(whole, 0, 0, whole, FINE * left, FINE * top);
    trace(context, this.#strokes, PEN / SIDE / scale);
    const fine = context.getImageData(0, 0, FINE * SIDE, FINE * SIDE).data;
    const pixels = new Uint8Array(SIDE * SIDE);
    for (let y = 0; y < SIDE; y++) {
      for (let x = 0; x < SIDE; x++) {
        let ink = 0;
        for (let i = 0; i < FINE * FINE; i++) {
          ink += fine[4 * ((FINE * y + (i >> 2)) * FINE * SIDE + FINE * x + (i & 3)) + 3];
        }
        pixels[SIDE * y + x] = Math.max(Math.round(ink / FINE ** 2), this.#samples[this.#sample]?.[SIDE * y + x] ?? 0);
      }
    }
    return pixels;
  }

  /** Show the drawing in the page's own ink. */
  render() {
    const context = this.#pad.getContext("2d");
    const color = getComputedStyle(this.#pad).color;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.#pad.width, this.#pad.height);
    if (this.#sample !== null) {
      context.imageSmoothingEnabled = false;
      const [red, green, blue] = color.match(/\d+/g).map(Number);
      const ink = inked(this.#samples[this.#sample], (share) => [red, green, blue, 255 * share]);
      context.drawImage(ink, 0, 0, this.#pad.width, this.#pad.height);
    }
    context.strokeStyle = context.fillStyle = color;
    context.setTransform(this.#pad.width, 0, 0, this.#pad.height, 0, 0);
    trace(context, this.#strokes, PEN / SIDE);
  }

  #begin(event) {
    if (event.button !== 0 || !event.isPrimary) return;
    event.preventDefault();
    this.#pad.setPointerCapture(event.pointerId);
    this.#strokes.push([this.#place(event)]);
    this.#changed(event.timeStamp);
  }

  #go(event) {
    if (!event.isPrimary || !this.#pad.hasPointerCapture(event.pointerId)) return;
    const stroke = this.#strokes.at(-1);
    if (!stroke) return; // cleared while drawing
    const events = event.getCoalescedEvents?.() ?? [];
    stroke.push(...(events.length ? events : [event]).map((each) => this.#place(each)));
    this.#changed(event.timeStamp);
  }

  #place(event) {
    const box = this.#pad.getBoundingClientRect();
    const inside = (share) => Math.min(1, Math.max(0, share));
    return [inside((event.clientX - box.left) / box.width), inside((event.clientY - box.top) / box.height)];
  }

  #changed(time = performance.now()) {
    this.render();
    this.#onchange(time);
  }
}

/** A small canvas of 28 x 28 pixels, coloured by how much ink is where. */
export function inked(pixels, color) {
  const small = canvas(SIDE);
  const image = new ImageData(SIDE, SIDE);
  pixels.forEach((ink, place) => image.data.set(color(ink / 255), 4 * place));
  small.getContext("2d").putImageData(image, 0, 0);
  return small;
}

function canvas(side) {
  return Object.assign(document.createElement("canvas"), { width: side, height: side });
}

/** How strokes are brought to the size and the place of digits in the training: in pixels of 28. */
function fitted(strokes) {
  const points = strokes.flat();
  if (!points.length) return { scale: 1, left: 0, top: 0 };
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const bounds = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const extent = SIDE * Math.max(bounds[1] - bounds[0], bounds[3] - bounds[2]);
  const scale = Math.min(SCALES[1], Math.max(SCALES[0], (FITTED - PEN) / extent));
  const [x, y] = middle(strokes);
  // the centre of mass comes to the middle, unless ink would leave the square
  const shift = (center, low, high) => {
    const [least, most] = [PEN / 2 - scale * SIDE * low, SIDE - PEN / 2 - scale * SIDE * high];
    return Math.min(most, Math.max(least, SIDE / 2 - scale * SIDE * center));
  };
  return { scale, left: shift(x, bounds[0], bounds[1]), top: shift(y, bounds[2], bounds[3]) };
}

/** Centre of mass of lines of even thickness. */
function middle(strokes) {
  let [x, y, whole] = [0, 0, 0];
  for (const stroke of strokes) {
    stroke.forEach((to, place) => {
      const from = stroke[Math.max(0, place - 1)];
      const length = Math.hypot(to[0] - from[0], to[1] - from[1]) + 1e-6; // a dot has a place too
      x += (length * (from[0] + to[0])) / 2;
      y += (length * (from[1] + to[1])) / 2;
      whole += length;
    });
  }
  return [x / whole, y / whole];
}

function trace(context, strokes, width) {
  Object.assign(context, { lineWidth: width, lineCap: "round", lineJoin: "round" });
  for (const stroke of strokes) {
    context.beginPath();
    context.moveTo(...stroke[0]);
    if (stroke.length === 1) context.lineTo(...stroke[0]);
    for (const point of stroke.slice(1)) context.lineTo(...point);
    context.stroke();
  }
}

/** The points that a line needs (Ramer, Douglas and Peucker). */
function simplified(points) {
  if (points.length < 3) return points;
  const [from, to] = [points[0], points.at(-1)];
  const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
  const length = Math.hypot(dx, dy);
  const distances = points.map(([x, y]) =>
    length ? Math.abs(dx * (y - from[1]) - dy * (x - from[0])) / length : Math.hypot(x - from[0], y - from[1]),
  );
  const farthest = distances.indexOf(Math.max(...distances));
  if (distances[farthest] <= TOLERANCE) return [from, to];
  return [...simplified(points.slice(0, farthest + 1)).slice(0, -1), ...simplified(points.slice(farthest))];
}
