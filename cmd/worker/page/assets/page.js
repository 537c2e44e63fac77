"use strict";
// What the page does by itself without this file, and live with it: rows that come, a filter at every key, a message
// over the page. Texts come escaped from the worker.
(() => {
  const $ = (id) => document.getElementById(id);
  const live = $("live"), pause = $("pause"), recent = $("live-recent");
  if (!recent) return;

  // A part is replaced without losing the focus or what is folded out.
  function put(id, html) {
    const into = $(id);
    if (!into) return;
    const focused = into.contains(document.activeElement) ? document.activeElement.id : "";
    const open = [...into.querySelectorAll("details[open] > summary")].map((s) => s.textContent);
    into.innerHTML = html;
    for (const summary of into.querySelectorAll("summary")) {
      if (open.includes(summary.textContent)) summary.parentElement.open = true;
    }
    if (focused && $(focused)) $(focused).focus({ preventScroll: true });
    if (into === recent) choose();
    if (id === "live-state") title();
  }

  // Of the rows come those that are new, and the order of all. Where one is missing the stream begins anew, and brings all.
  function putRows(change) {
    const had = new Map([...recent.rows].map((row) => [row.querySelector("a.open")?.id, row]));
    const focused = recent.contains(document.activeElement) ? document.activeElement.id : "";
    const rows = change.order.map((sequence) => {
      const html = change.rows[sequence];
      if (html === undefined) return had.get("m-" + sequence);
      const body = document.createElement("tbody");
      body.innerHTML = html;
      return body.rows[0];
    });
    if (rows.includes(undefined)) {
      source.close();
      follow();
      return;
    }
    recent.replaceChildren(...rows);
    if (focused && $(focused)) $(focused).focus({ preventScroll: true });
    choose();
  }

  // The tab says it, too, where the page is behind others.
  const named = document.title;
  function title() {
    const says = ($("live-state").querySelector(".bad") ? "Stuck · " : "") + named;
    if (document.title !== says) document.title = says;
  }

  const q = $("q"), outcome = $("outcome"), shown = $("shown");
  function choose() {
    const text = q.value.trim().toLowerCase(), which = outcome.value;
    let n = 0, all = 0;
    for (const row of recent.rows) {
      if (!row.dataset.outcome) continue;
      all++;
      row.hidden = (which && row.dataset.outcome !== which) || (text && !row.textContent.toLowerCase().includes(text));
      if (!row.hidden) n++;
    }
    const says = text || which ? `${n} of ${all} shown` : "";
    if (shown.textContent !== says) shown.textContent = says;
  }
  q.addEventListener("input", choose);
  outcome.addEventListener("change", choose);
  $("filter").addEventListener("submit", (event) => { event.preventDefault(); choose(); });

  // Streams end after a while; the browser opens another.
  let source = null;
  const say = (text) => { if (live.textContent !== text) live.textContent = text; };
  function follow() {
    source = new EventSource("page/events");
    source.addEventListener("open", () => say("Live"));
    source.addEventListener("error", () => say(source.readyState === EventSource.CLOSED ? "Not live: reload" : "Not live: asking again"));
    for (const id of ["live-state", "live-now", "live-flow", "live-recent", "live-letters", "live-promises"]) {
      source.addEventListener(id, (event) => put(id, JSON.parse(event.data)));
    }
    source.addEventListener("live-rows", (event) => putRows(JSON.parse(event.data)));
  }
  pause.hidden = false;
  pause.addEventListener("click", () => {
    const paused = pause.getAttribute("aria-pressed") !== "true";
    pause.setAttribute("aria-pressed", String(paused));
    if (paused) { source.close(); say("Paused"); } else follow();
  });

  const dialog = $("opened"), body = $("opened-body");
  let from = "";
  recent.addEventListener("click", async (event) => {
    const link = event.target.closest("a.open");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    from = link.id;
    $("opened-title").textContent = "Message " + link.id.slice(2);
    body.textContent = "Reading it again …";
    dialog.showModal();
    try {
      const answer = await fetch(link.getAttribute("href") + "?part", { credentials: "same-origin" });
      const text = await answer.text();
      if ((answer.headers.get("Content-Type") || "").startsWith("text/html")) body.innerHTML = text; else body.textContent = text;
    } catch {
      body.textContent = "The worker does not answer.";
    }
  });
  $("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => { if ($(from)) $(from).focus(); });

  choose();
  title();
  follow();
})();
