// Keeps a page up to date, and turns its times into the reader's zone. A page is whole without
// it: what is here only saves a reload.
"use strict";

(() => {
  const least = 1000; // milliseconds between two updates of a page
  const main = document.getElementById("main");
  const status = document.getElementById("live");
  let source = null, timer = null, last = 0, loading = false, again = false, ended = false;

  const tell = (state, text) => {
    if (!status || status.dataset.state === state) return;
    status.dataset.state = state;
    status.textContent = text;
  };

  // Times: the reader's zone on hover, and ages that grow.
  const zone = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
  const localTimes = (root) => {
    for (const time of root.querySelectorAll("time[datetime]")) {
      const at = new Date(time.dateTime);
      if (!Number.isNaN(at.valueOf())) time.title = zone.format(at);
    }
  };

  // morph makes an element like another one, and keeps what the reader uses: focus, scroll
  // positions, open details and what is typed.
  const keyOf = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.id || node.dataset.key || "" : "");
  const morph = (from, to) => {
    if (from.nodeType !== to.nodeType || from.nodeName !== to.nodeName || keyOf(from) !== keyOf(to)) {
      const fresh = document.importNode(to, true);
      from.replaceWith(fresh);
      return;
    }
    if (from.nodeType !== Node.ELEMENT_NODE) {
      if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
      return;
    }
    if (from === document.activeElement && /^(INPUT|SELECT|TEXTAREA)$/.test(from.nodeName)) return;
    for (const { name } of [...from.attributes]) {
      if (!to.hasAttribute(name) && !(from.nodeName === "DETAILS" && name === "open")) from.removeAttribute(name);
    }
    for (const { name, value } of to.attributes) {
      if (from.getAttribute(name) !== value) from.setAttribute(name, value);
    }
    children(from, to);
  };
  const children = (from, to) => {
    const known = new Map();
    for (const node of from.childNodes) if (keyOf(node)) known.set(keyOf(node), node);
    let at = from.firstChild;
    for (const wanted of to.childNodes) {
      const same = keyOf(wanted) && known.get(keyOf(wanted));
      if (same && same !== at) from.insertBefore(same, at);
      else if (!at) { from.appendChild(document.importNode(wanted, true)); continue; }
      else if (!same && keyOf(wanted) && keyOf(at)) { from.insertBefore(document.importNode(wanted, true), at); continue; }
      const current = same || at;
      const next = current.nextSibling;
      morph(current, wanted);
      at = next;
    }
    while (at) { const next = at.nextSibling; at.remove(); at = next; }
  };

  const load = async () => {
    timer = null;
    if (loading) { again = true; return; }
    loading = true;
    last = Date.now();
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "manual", cache: "no-store" });
      if (answer.type === "opaqueredirect" || answer.status === 401) { location.reload(); return; }
      if (!answer.ok) throw new Error("status " + answer.status);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("main");
      if (fresh) { children(main, fresh); localTimes(main); }
      const now = page.querySelector("footer time"), shown = document.querySelector("footer time");
      if (now && shown) { shown.dateTime = now.dateTime; shown.textContent = now.textContent; localTimes(shown.parentNode); }
      if (ended) tell("off", "All clusters were read: load the page again to read them anew");
      else tell("on", "Live");
    } catch {
      tell("lost", "Out of date: the server does not answer");
      plan(5000);
    } finally {
      loading = false;
      if (again) { again = false; plan(0); }
    }
  };
  const plan = (wait) => {
    if (!timer) timer = setTimeout(load, Math.max(wait, last + least - Date.now(), 0));
  };

  const connect = () => {
    if (source || ended || document.hidden) return;
    let opened = false;
    source = new EventSource(main.dataset.live);
    source.addEventListener("open", () => { tell("on", "Live"); if (opened || last) plan(0); opened = true; });
    source.addEventListener("event", () => plan(0));
    // A stream of resources has a part for each answer of a cluster, and ends behind the last.
    source.addEventListener("part", () => plan(0));
    source.addEventListener("end", () => { ended = true; disconnect(); plan(0); });
    source.addEventListener("problem", () => { disconnect(); tell("lost", "Out of date: the stream has ended"); setTimeout(connect, 5000); });
    source.addEventListener("error", () => {
      tell("lost", "Out of date: connecting again");
      // Refused: the page itself finds out why, such as that the session has ended.
      if (source && source.readyState === EventSource.CLOSED) { disconnect(); plan(5000); setTimeout(connect, 5000); }
    });
  };
  const disconnect = () => { if (source) source.close(); source = null; };

  localTimes(document);
  if (main && main.dataset.live && window.EventSource) {
    connect();
    // A hidden page costs nothing; one that is shown again is brought up to date.
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) { disconnect(); return; }
      connect();
      plan(0);
    });
    setInterval(() => { if (!document.hidden && source) plan(0); }, 30000); // ages grow
  }
})();
