// Pages work without this. With it times stay true, and a page that is looked at stays fresh until told not to.
"use strict";
(() => {
  const ago = (seconds) => {
    for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
      if (seconds >= size) return `${Math.floor(seconds / size)} ${unit} ago`;
    }
    return "just now";
  };
  const refreshTimes = () => {
    for (const time of document.querySelectorAll("time.ago")) {
      time.textContent = ago((Date.now() - Date.parse(time.dateTime)) / 1000);
    }
  };
  refreshTimes();
  setInterval(refreshTimes, 15000);

  // A form that is being filled, or a text that is being selected, is never taken away.
  const busy = () =>
    document.hidden || document.querySelector("details.action[open]") || String(getSelection()) ||
    document.activeElement?.matches("input, select");
  const main = document.querySelector("main[data-refresh]");
  const place = document.querySelector("[data-refreshing]");
  if (main && place) {
    const key = "driftloop-refresh";
    const on = () => sessionStorage.getItem(key) !== "off";
    const button = document.createElement("button");
    button.type = "button";
    const tell = () => {
      button.textContent = on() ? `Refreshes every ${main.dataset.refresh} s: stop` : "Refresh by itself";
    };
    button.addEventListener("click", () => {
      sessionStorage.setItem(key, on() ? "off" : "on");
      tell();
    });
    tell();
    place.append(button);
    setInterval(() => { if (on() && !busy()) location.reload(); }, 1000 * main.dataset.refresh);
  }
  const pending = document.querySelector(".done.pending");
  if (pending) setTimeout(() => { if (!busy()) location.reload(); }, 2000);

  // One click is enough; the form's id makes a second one the same action anyway.
  for (const form of document.querySelectorAll("form[method=post]")) {
    form.addEventListener("submit", () => {
      for (const one of form.querySelectorAll("button")) setTimeout(() => { one.disabled = true; });
    });
  }
  for (const action of document.querySelectorAll("details.action")) {
    action.addEventListener("toggle", () => { if (action.open) action.querySelector("input[name=reason]").focus(); });
    action.addEventListener("keydown", (event) => {
      if (event.key === "Escape") { action.open = false; action.querySelector("summary").focus(); }
    });
  }
})();
