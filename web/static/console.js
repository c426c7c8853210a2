// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// What script adds to pages that work without it: local times, the palette, copying, keys in tables, charts.
(() => {
  "use strict";
  const root = document.documentElement;
  root.classList.add("js");

  const $ = (sel, from = document) => from.querySelector(sel);
  const $$ = (sel, from = document) => Array.from(from.querySelectorAll(sel));
  const say = (text) => { const to = $("#said"); if (to) { to.textContent = ""; to.textContent = text; } };
  const remember = (name, value) => {
    document.cookie = `leat_${name}=${value}; path=/console; max-age=31536000; samesite=strict` + (location.protocol === "https:" ? "; secure" : "");
  };

  // Times: the server writes UTC.
  const local = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  const showTimes = (from = document) => {
    for (const el of $$("time[datetime]", from)) {
      if (!el.dataset.utc) el.dataset.utc = el.textContent;
      if (root.dataset.zone === "local") {
        el.textContent = local.format(new Date(el.dateTime));
        el.title = el.dateTime;
      } else if (el.textContent !== el.dataset.utc) {
        const [, text, zone] = /^(.*?)( UTC)?$/.exec(el.dataset.utc);
        el.textContent = text;
        if (zone) el.append(Object.assign(document.createElement("span"), { className: "zone", textContent: zone }));
      }
    }
  };

  // Where the places, or a stream's pages, do not fit, the present one is in sight.
  for (const a of $$(".side nav [aria-current], .tabs [aria-current]")) {
    const all = a.parentElement;
    if (all.scrollWidth > all.clientWidth) all.scrollLeft = a.getBoundingClientRect().left - all.getBoundingClientRect().left - 24;
  }

  // Preferences: kept in cookies, so that the server writes the next page as it should be.
  document.addEventListener("click", (e) => {
    const b = e.target.closest("[data-toggle]");
    if (!b) return;
    e.preventDefault();
    if (b.dataset.toggle === "zone") {
      root.dataset.zone = root.dataset.zone === "utc" ? "local" : "utc";
      remember("zone", root.dataset.zone);
      $("[data-zone-name]").textContent = root.dataset.zone === "utc" ? "UTC" : "Local";
      say("Times are in " + (root.dataset.zone === "utc" ? "UTC" : "local time"));
      showTimes();
    } else {
      const dark = root.dataset.theme === "dark" || (root.dataset.theme === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
      root.dataset.theme = dark ? "light" : "dark";
      $("meta[name=color-scheme]").content = root.dataset.theme;
      remember("theme", root.dataset.theme);
    }
    drawCharts(true);
  });

  // Copying.
  const copy = async (text, from) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const t = Object.assign(document.createElement("textarea"), { value: text, className: "vh" });
      document.body.append(t);
      t.select();
      document.execCommand("copy");
      t.remove();
    }
    say("Copied");
    const was = from.lastChild.textContent;
    if (from.lastChild.nodeType === Node.TEXT_NODE) {
      from.lastChild.textContent = "Copied";
      setTimeout(() => { from.lastChild.textContent = was; }, 1200);
    }
  };
  document.addEventListener("click", (e) => {
    const b = e.target.closest("[data-copy], [data-copy-text]");
    if (b) copy(b.dataset.copyText ?? document.getElementById(b.dataset.copy).innerText, b);
  });

  // Palette.
  const palette = $("#palette");
  if (palette) {
    const input = $("input", palette), hits = $("#hits");
    let asked = 0, on = 0;
    const mark = (to) => {
      const all = $$("a", hits);
      if (!all.length) return;
      on = (to + all.length) % all.length;
      all.forEach((a, i) => a.classList.toggle("on", i === on));
      all[on].scrollIntoView({ block: "nearest" });
    };
    const ask = async () => {
      const mine = ++asked;
      const res = await fetch("/console/search?q=" + encodeURIComponent(input.value), { headers: { "HX-Request": "true", "HX-Target": "hits" } });
      if (mine !== asked) return;
      if (!res.ok) { hits.textContent = "The search failed."; return; }
      hits.innerHTML = await res.text(); // the server has escaped it
      mark(0);
    };
    const open = () => { if (!palette.open) { palette.showModal(); input.value = ""; ask(); } };
    document.addEventListener("keydown", (e) => {
      if ((e.metaKey || e.ctrlKey) && e.key.toLowerCase() === "k") { e.preventDefault(); open(); }
    });
    $("[data-palette]")?.addEventListener("click", (e) => { e.preventDefault(); open(); });
    input.addEventListener("input", ask);
    $("form", palette).addEventListener("submit", (e) => { // without a hit it goes to the page of the search
      const a = $$("a", hits)[on];
      if (a) { e.preventDefault(); a.click(); }
    });
    palette.addEventListener("click", (e) => { if (e.target === palette) palette.close(); });
    palette.addEventListener("keydown", (e) => {
      if (e.key === "ArrowDown") { e.preventDefault(); mark(on + 1); }
      if (e.key === "ArrowUp") { e.preventDefault(); mark(on - 1); }
    });
  }

  // Keys: / to search, arrows and j, k through the rows of a table.
  const typing = (el) => el.closest("input, textarea, select, [contenteditable]");
  document.addEventListener("keydown", (e) => {
    if (e.metaKey || e.ctrlKey || e.altKey || typing(e.target)) return;
    if (e.key === "/") {
      const to = $("[data-slash]");
      if (to) { e.preventDefault(); to.focus(); to.select(); }
      return;
    }
    const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[e.key];
    const rows = $$("[data-rows] tbody tr").map((tr) => $("a, button", tr)).filter(Boolean);
    if (!step || !rows.length) return;
    const at = rows.findIndex((a) => a.closest("tr").contains(document.activeElement));
    if (at < 0 && e.key.startsWith("Arrow")) return; // they scroll
    e.preventDefault();
    rows[Math.min(Math.max(at < 0 ? 0 : at + step, 0), rows.length - 1)].focus();
  });

  // Charts are drawn from the tables beside them.
  const charts = new Map();
  const css = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const units = (n) => {
    let i = 0;
    while (n >= 1024 && i < 4) { n /= 1024; i++; }
    return (n >= 100 || i === 0 ? n.toFixed(0) : n.toFixed(1)) + " " + ["B", "KiB", "MiB", "GiB", "TiB"][i];
  };
  const powers = Array.from({ length: 50 }, (_, i) => 2 ** i); // steps between the lines of bytes
  const drawCharts = (anew) => {
    if (!window.uPlot) return;
    for (const el of $$("[data-chart]")) {
      const table = document.getElementById(el.dataset.chart);
      if (!table) continue;
      const columns = el.dataset.columns.split(",").map(Number);
      const rows = $$("tbody tr", table);
      const data = [0, ...columns].map((c) => rows.map((tr) => Number(tr.cells[c].dataset.v)));
      const key = el.dataset.chart + el.dataset.columns;
      const old = charts.get(key);
      if (old && old.el === el && !anew) { old.plot.setData(data); continue; }
      old?.plot.destroy();
      const value = (_, v) => v == null ? "–" : (el.dataset.unit === "B" ? units(v) : Number(v).toLocaleString("en", { maximumFractionDigits: 1 })) + (el.dataset.per ?? "/s");
      const axis = { stroke: css("--faint"), font: "11px Inter, sans-serif", grid: { stroke: css("--line"), width: 1 }, ticks: { show: false } };
      const colours = ["--accent", "--second", "--busy"].map(css);
      const days = el.dataset.by === "day"; // bars, and dates in UTC as they are billed
      const plot = new uPlot({
        width: el.clientWidth, height: 200 - 26,
        tzDate: (t) => days || root.dataset.zone === "utc" ? uPlot.tzDate(new Date(t * 1e3), "UTC") : new Date(t * 1e3),
        cursor: { y: false, points: { size: 6 } },
        scales: { x: days ? { range: (_, lo, hi) => [lo - 43200, hi + 43200] } : {}, y: { range: (_, lo, hi) => [0, hi > 0 ? hi * 1.15 : 1] } },
        axes: [{ ...axis, space: 70, size: 30, values: days ? "{MM}-{DD}" : "{HH}:{mm}" }, { ...axis, size: 64, space: 34, ...(el.dataset.unit === "B" ? { incrs: powers } : {}), values: (u, vs) => vs.map((v) => el.dataset.unit === "B" ? units(v) : Number(v).toLocaleString("en")) }],
        legend: { markers: { width: 0, fill: (u, i) => u.series[i]._stroke ?? colours[(i - 1) % 3] } },
        series: [{ label: "At", value: (u, v) => v == null ? "–" : uPlot.fmtDate(days ? "{YYYY}-{MM}-{DD}" : "{HH}:{mm}:{ss}")(u._tz ? u._tz(v) : new Date(v * 1e3)) },
          ...columns.map((c, i) => ({ label: table.tHead.rows[0].cells[c].textContent, stroke: colours[i % 3], width: 1.5, fill: i === 0 ? colours[0] + (days ? "88" : "14") : undefined, paths: days ? uPlot.paths.bars({ size: [0.7, 48] }) : undefined, points: { show: false }, value }))],
      }, data, el);
      charts.set(key, { el, plot });
    }
  };
  new ResizeObserver(() => { for (const { el, plot } of charts.values()) if (el.isConnected) plot.setSize({ width: el.clientWidth, height: plot.height }); }).observe(document.body);

  // What htmx exchanges keeps its open details and its charts.
  let opened = [];
  document.addEventListener("htmx:beforeSwap", (e) => { opened = $$("details[open][id]", e.detail.target).map((d) => d.id); });
  document.addEventListener("htmx:afterSwap", () => drawCharts(false)); // before anything is painted without them
  document.addEventListener("htmx:afterSettle", () => {
    for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
    showTimes();
  });
  document.addEventListener("htmx:beforeRequest", (e) => { // nothing for a hidden page; and what has the focus is not taken away
    const el = e.detail.elt;
    if (el.matches("[hx-trigger^=every]") && (document.hidden || (el.contains(document.activeElement) && document.activeElement !== document.body))) e.preventDefault();
  });

  // Fields that belong to a choice.
  const reveal = () => {
    const by = $("[data-reveal]");
    if (by) for (const el of $$("[data-for]")) el.classList.toggle("off", el.dataset.for !== by.value);
  };
  document.addEventListener("change", (e) => { if (e.target.matches("[data-reveal]")) reveal(); });
  reveal();

  // Live tail: rows are built of text alone.
  const tailForm = $("#tail-form");
  if (tailForm) {
    const rows = $("#tail-rows"), state = $("#tail-state"), pause = $("#tail-pause");
    const most = 200;
    let source, paused = false, held = [], shown = 0, skipped = 0, hidden = 0, told = 0;
    const cell = (tag, text, cls) => { const el = document.createElement(tag); if (cls) el.className = cls; el.append(text); return el; };
    const code = (text) => cell("code", text);
    const row = (r) => {
      const tr = document.createElement("tr");
      const a = document.createElement("a");
      a.href = r.link;
      const t = document.createElement("time");
      t.dateTime = r.at;
      t.textContent = r.at.slice(0, 19).replace("T", " ");
      a.append(t);
      const key = cell("th", code(r.key), "key");
      key.scope = "row";
      tr.append(cell("td", a), key, cell("td", r.shard.replace(/^shardId-0*(?=.)/, "shard ")), cell("td", code(r.text), "preview"), cell("td", r.kind), cell("td", r.size.toLocaleString("en"), "n"));
      return tr;
    };
    const status = () => {
      state.textContent = `${paused ? "Paused. " : ""}${shown.toLocaleString("en")} shown, ${skipped.toLocaleString("en")} passed over` + (hidden ? `, ${hidden.toLocaleString("en")} left out by the filter` : "");
    };
    const show = (records) => {
      const box = document.createDocumentFragment();
      for (const r of records.slice(-most).reverse()) box.append(row(r));
      showTimes(box);
      rows.prepend(box);
      while (rows.rows.length > most) rows.lastElementChild.remove();
      shown += records.length;
    };
    const follow = () => {
      source?.close();
      source = new EventSource(tailForm.dataset.events + "?" + new URLSearchParams(new FormData(tailForm)));
      source.onmessage = (e) => {
        const batch = JSON.parse(e.data);
        skipped += batch.skipped;
        hidden += batch.hidden;
        if (paused) { held.push(...batch.records); skipped += Math.max(0, held.length - most); held = held.slice(-most); } else show(batch.records);
        if (Date.now() - told > 2000) { told = Date.now(); status(); }
      };
      source.addEventListener("failed", (e) => { state.textContent = "Stopped: " + JSON.parse(e.data); source.close(); });
      source.onerror = () => { if (source.readyState === EventSource.CLOSED) state.textContent = "Stopped. Follow again to go on."; };
    };
    pause.addEventListener("click", () => {
      paused = !paused;
      pause.setAttribute("aria-pressed", String(paused));
      $("span", pause).textContent = paused ? "Go on" : "Pause";
      if (!paused) { show(held); held = []; }
      status();
    });
    addEventListener("pagehide", () => source?.close());
    follow();
  }

  const ready = () => { showTimes(); drawCharts(true); };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", ready); else ready();
})();
