// Small comforts of the console; without them it is a plain form.

const form = document.getElementById("console");
const running = document.getElementById("running");
const button = form.querySelector("button");
const file = document.getElementById("file");

form.addEventListener("submit", () => {
  button.disabled = true;
  running.textContent = "Calling …";
});

// Back from the next page, the form is as it was left: with its button off.
window.addEventListener("pageshow", () => {
  button.disabled = false;
  running.textContent = "";
});

form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    form.requestSubmit();
  }
});

file.addEventListener("change", () => {
  if (file.files.length) {
    form.elements.kind.value = "binary";
  }
});
