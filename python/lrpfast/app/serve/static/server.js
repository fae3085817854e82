/* Questions to the server, and its answers in arrays. */

/** Why the server gave no answer, in words; `wait` is the number of milliseconds after which to ask again, if at all. */
export class Refusal extends Error {
  constructor(message, wait = null) {
    super(message);
    this.wait = wait;
  }
}

export async function model() {
  return (await answer("api/model")).json();
}

/** The picture in a file: its pixels as the model sees them, and what to show a person. */
export async function see(file) {
  const { facts, data } = await framed("api/picture", file);
  const pixels = new Uint8Array(data.slice(0, facts.pixels));
  return { pixels, shown: new Blob([data.slice(facts.pixels)], { type: "image/jpeg" }) };
}

/** Scores, probabilities, and a map of relevance for each class in `targets`. */
export async function explain(pixels, query) {
  const { facts, data } = await framed(`api/explain?${new URLSearchParams(query)}`, pixels);
  const numbers = new Float32Array(data);
  const [count, size] = [facts.classes, facts.width * facts.height];
  return {
    ...facts,
    scores: numbers.subarray(0, count),
    probabilities: numbers.subarray(count, 2 * count),
    maps: facts.targets.map((_, place) => numbers.subarray(2 * count + place * size, 2 * count + (place + 1) * size)),
  };
}

async function framed(path, body) {
  const buffer = await (await answer(path, { method: "POST", body })).arrayBuffer();
  const length = new DataView(buffer).getUint32(0, true);
  const facts = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  return { facts, data: buffer.slice(4 + length) };
}

async function answer(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Refusal("The server does not answer. Is lrpfast serve still running?");
  }
  if (response.ok) return response;
  const told = await response.json().catch(() => ({ error: `The server failed (${response.status}).` }));
  const wait = response.headers.get("retry-after");
  throw new Refusal(told.error, wait === null ? null : 1000 * Number(wait));
}
