// What moves on a page: countdowns, and elements that the server renews. Every page works without it.
"use strict";
(() => {
  const page = document.body;
  const words = JSON.parse(page.dataset.words || "null");
  if (!words) return;
  const opened = Date.now();
  const now = () => Number(page.dataset.now) + (Date.now() - opened) / 1000; // the server's clock, whatever this one says

  // The same as left() in dashboard/rendering.py: a started minute counts.
  const left = (seconds) => {
    if (seconds <= 0) return words.over;
    if (seconds < 60) return words.soon;
    const minutes = Math.ceil(seconds / 60);
    const hours = Math.floor(minutes / 60);
    return (hours ? words.hours : words.minutes).replace("{hours}", hours).replace("{minutes}", minutes % 60);
  };

  const count = () => {
    for (const each of document.querySelectorAll("time[data-until]")) {
      const text = left(Number(each.dataset.until) - now());
      if (each.textContent !== text) each.textContent = text;
    }
  };
  count();
  setInterval(count, 1000);
  document.addEventListener("visibilitychange", () => document.hidden || count());

  const lost = new Set();
  const note = document.createElement("p");
  note.className = "lost";
  note.setAttribute("role", "status");
  note.hidden = true;
  page.append(note);
  const tell = (url, gone) => {
    if (gone) lost.add(url);
    else lost.delete(url);
    note.textContent = lost.size ? words.lost : ""; // a status is read out when its text changes
    note.hidden = !lost.size;
  };

  // Whoever types, chooses or has something open there is not disturbed; the next event comes.
  const busy = (element) =>
    element.querySelector("details[open]") || (element.contains(document.activeElement) && document.activeElement.matches("input, select, textarea"));

  const shown = new WeakMap();
  const renew = (fragments) => {
    for (const [id, html] of Object.entries(fragments)) {
      const element = document.getElementById(id);
      if (!element || shown.get(element) === html || busy(element)) continue;
      const focused = [...element.querySelectorAll("a, button, summary")].indexOf(document.activeElement);
      element.innerHTML = html;
      if (focused >= 0) element.querySelectorAll("a, button, summary")[focused]?.focus({ preventScroll: true });
      if (shown.has(element)) {
        element.classList.remove("fresh");
        void element.offsetWidth; // so that the animation starts again
        element.classList.add("fresh");
      }
      shown.set(element, html);
    }
    count();
  };

  const listen = (url) => {
    let wait = 1;
    let source;
    let timer;
    const open = () => {
      clearTimeout(timer);
      source = new EventSource(url);
      source.onopen = () => {
        wait = 1;
        tell(url, false);
      };
      source.onmessage = (event) => renew(JSON.parse(event.data));
      source.onerror = () => {
        source.close();
        tell(url, true);
        timer = setTimeout(open, wait * (750 + Math.random() * 500)); // a whole school must not come back at once
        wait = Math.min(wait * 2, 30);
      };
    };
    open();
    addEventListener("pagehide", () => {
      clearTimeout(timer);
      source.close();
    });
    addEventListener("pageshow", (event) => event.persisted && open());
    addEventListener("online", () => source.readyState === EventSource.CLOSED && open());
  };
  for (const url of new Set([...document.querySelectorAll("[data-live]")].map((each) => each.dataset.live))) listen(url);
})();
