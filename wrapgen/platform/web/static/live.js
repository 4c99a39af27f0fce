// Keeps the parts of a page that change up to date: fetches the same address again and takes over the elements
// marked data-live. Rests while nobody looks, stops where somebody reads or selects, and can be paused.
"use strict";
{
  const bar = document.querySelector("[data-live-every]");
  const state = bar.querySelector("[data-live-state]");
  const said = bar.querySelector("[data-live-said]");
  const every = Number(bar.dataset.liveEvery) * 1000;
  const SPEAK_MS = 20000;
  const MOST_MS = 30000;
  let wait = every;
  let timer = 0;
  let paused = false;
  let spoken = 0;

  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet";
  button.textContent = "Pause";
  button.addEventListener("click", () => {
    paused = !paused;
    button.textContent = paused ? "Go on" : "Pause";
    tell(paused ? "Paused." : "Live.");
    plan(0);
  });
  bar.append(button);
  tell("Live.");

  function tell(text) {
    if (state.textContent !== text) state.textContent = text;
  }

  function plan(after) {
    clearTimeout(timer);
    if (!paused && !document.hidden) timer = setTimeout(refresh, after);
  }

  async function refresh() {
    try {
      const answer = await fetch(location.href, {
        headers: { "X-Fragment": "1", Accept: "*/*" }, cache: "no-store", redirect: "error",
      });
      if (answer.status === 401 || answer.status === 404) return tell("No longer live: reload the page.");
      if (!answer.ok) throw new Error(String(answer.status));
      take(new DOMParser().parseFromString(await answer.text(), "text/html"));
      wait = every;
      tell("Live.");
    } catch {
      wait = Math.min(wait * 2, MOST_MS);
      tell("The platform does not answer; trying again.");
    }
    plan(wait);
  }

  function take(fresh) {
    const words = [];
    for (const old of document.querySelectorAll("[data-live]")) {
      const found = fresh.getElementById(old.id);
      if (!found) continue;
      if (found.dataset.said) words.push(found.dataset.said);
      if (isRead(old) || old.innerHTML === found.innerHTML) continue;
      const focus = old.contains(document.activeElement) ? keyOf(document.activeElement) : "";
      const scrolled = [...old.querySelectorAll(".scroll, pre")].map((box) => [box.scrollLeft, box.scrollTop]);
      old.replaceChildren(...found.childNodes);
      old.querySelectorAll(".scroll, pre").forEach((box, at) => {
        if (scrolled[at]) [box.scrollLeft, box.scrollTop] = scrolled[at];
      });
      if (focus) [...old.querySelectorAll("a, [tabindex]")].find((one) => keyOf(one) === focus)?.focus({ preventScroll: true });
    }
    speak(words.join("; "));
  }

  // Text that somebody has selected stays as it is.
  function isRead(part) {
    const selection = getSelection();
    return selection && !selection.isCollapsed && part.contains(selection.anchorNode);
  }

  function keyOf(element) {
    return element.getAttribute("href") || element.getAttribute("aria-label") || "";
  }

  // Screen readers hear what is new in one short line, and not every few seconds.
  function speak(text) {
    if (!text || said.dataset.text === text || Date.now() - spoken < SPEAK_MS) return;
    if (said.dataset.text) said.textContent = text;
    said.dataset.text = text;
    spoken = Date.now();
  }

  document.addEventListener("visibilitychange", () => plan(0));
  plan(every);
}
