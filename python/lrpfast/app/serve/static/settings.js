/* The preset and its parameters, the colours and the opacity. */

const DARK = matchMedia("(prefers-color-scheme: dark)");

/** Steps of a slider whose values are spread by their magnitude, a decade. */
const DECADE = 10;

export class Settings {
  #presets;
  #first;
  #onquery;
  #onlook;
  #values = {}; // parameters that are not at their defaults
  #colors = null; // null: what suits a light or a dark page
  #field = Object.fromEntries(
    ["preset", "about", "parameters", "colors", "opacity", "opacity-value"].map((id) => [id, document.getElementById(id)]),
  );

  /** `onquery` is called when the relevance changes, `onlook` when only its looks do. */
  constructor({ presets, preset }, opacity, onquery, onlook) {
    [this.#presets, this.#first, this.#onquery, this.#onlook] = [presets, preset, onquery, onlook];
    this.opacityAtFirst = opacity;
    const { preset: select, colors, opacity: slider } = this.#field;
    select.replaceChildren(...presets.map(({ name }) => new Option(name, name)));
    colors.replaceChildren(...Object.keys(Heatmap.maps).map((name) => new Option(name, name)));
    select.addEventListener("change", () => {
      this.#values = {};
      this.#offer();
      onquery();
    });
    colors.addEventListener("change", () => {
      this.#colors = colors.value;
      onlook();
    });
    slider.addEventListener("input", () => {
      this.#tellOpacity();
      onlook();
    });
    DARK.addEventListener("change", () => {
      if (this.#colors === null) colors.value = this.colors;
      onlook();
    });
  }

  get preset() {
    return this.#presets.find(({ name }) => name === this.#field.preset.value);
  }

  /** The preset and its parameters, as the server is asked for them. */
  get query() {
    return { preset: this.preset.name, ...this.#values };
  }

  get colors() {
    return this.#colors ?? (DARK.matches ? "night" : "seismic");
  }

  get opacity() {
    return this.#field.opacity.value / 100;
  }

  /** What a link has to say of the settings: what is not as at first. */
  encoded() {
    const { preset, ...values } = this.query;
    return {
      ...(preset !== this.#first && { preset }),
      ...values,
      ...(this.#colors !== null && { colors: this.#colors }),
      ...(this.opacity !== this.opacityAtFirst && { opacity: this.opacity }),
    };
  }

  /** Take over settings from a link; what makes no sense there stays as at first. */
  restore(link) {
    const known = this.#presets.some(({ name }) => name === link.preset);
    this.#field.preset.value = known ? link.preset : this.#first;
    this.#values = {};
    for (const { name, low, high, default: usual } of this.preset.parameters) {
      const value = Number(link[name] ?? NaN);
      if (value >= low && value <= high && value !== usual) this.#values[name] = value;
    }
    this.#colors = link.colors in Heatmap.maps ? link.colors : null;
    this.#field.colors.value = this.colors;
    const opacity = Number(link.opacity ?? NaN);
    this.#field.opacity.value = 100 * (opacity >= 0 && opacity <= 1 ? opacity : this.opacityAtFirst);
    this.#tellOpacity();
    this.#offer();
  }

  #tellOpacity() {
    this.#field["opacity-value"].textContent = `${this.#field.opacity.value} %`;
  }

  /** A slider for each parameter of the preset. */
  #offer() {
    this.#field.about.textContent = this.preset.about;
    this.#field.parameters.replaceChildren(...this.preset.parameters.map((parameter) => this.#slider(parameter)));
  }

  #slider({ name, low, high, logarithmic, default: usual }) {
    const field = document.createElement("div");
    field.className = "field slider";
    const label = Object.assign(document.createElement("label"), { htmlFor: name, textContent: name });
    const output = document.createElement("output");
    output.htmlFor = name;
    const range = logarithmic
      ? { min: Math.round(DECADE * Math.log10(low)), max: Math.round(DECADE * Math.log10(high)), step: 1 }
      : { min: low, max: high, step: (high - low) / 40 };
    const input = Object.assign(document.createElement("input"), { type: "range", id: name, ...range });
    const value = () => Number((logarithmic ? 10 ** (input.value / DECADE) : Number(input.value)).toPrecision(2));
    const tell = () => {
      output.textContent = number(this.#values[name] ?? usual);
      input.setAttribute("aria-valuetext", output.textContent);
    };
    const chosen = this.#values[name] ?? usual;
    input.value = logarithmic ? DECADE * Math.log10(chosen) : chosen;
    input.addEventListener("input", () => {
      if (value() === usual) delete this.#values[name];
      else this.#values[name] = value();
      tell();
      this.#onquery();
    });
    tell();
    field.append(label, output, input);
    return field;
  }
}

/** A parameter as people write it: 0.25, 1e−6. */
function number(value) {
  const text = value && value < 0.001 ? value.toExponential() : String(value);
  return text.replace("-", "\u2212");
}
