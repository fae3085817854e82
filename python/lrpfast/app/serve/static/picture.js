/* A picture that is dropped, pasted or chosen. */

/** Calls `onfile(file)` for every picture that comes. */
export function receive({ drop, input, onfile }) {
  const first = (files) => files?.[0] && onfile(files[0]);
  input.addEventListener("change", () => {
    first(input.files);
    input.value = ""; // the same file may be chosen again
  });
  document.addEventListener("paste", (event) => first(event.clipboardData?.files));
  // anywhere on the page: a file that misses its place would make the browser leave
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) drop.classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    first(event.dataTransfer?.files);
  });
}
