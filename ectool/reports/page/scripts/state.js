// Stores filters, sorting and the open sample in the address, `#anchor?key=value&...`.
const state = {
  anchor: "",
  values: new URLSearchParams(),
  listeners: [],

  get(key, initial = "") {
    return this.values.get(key) ?? initial;
  },

  // The initial value is left out of the address.
  set(key, value, initial = "") {
    if (value === initial) this.values.delete(key);
    else this.values.set(key, value);
    this.write();
  },

  write() {
    const query = this.values.toString();
    history.replaceState(null, "", `#${this.anchor}${query && `?${query}`}`);
  },

  read() {
    const [anchor, query = ""] = location.hash.slice(1).split("?");
    this.anchor = anchor;
    this.values = new URLSearchParams(query);
  },

  apply() {
    this.read();
    for (const listener of this.listeners) listener();
    goTo(this.anchor);
  },

  // Calls the listener when the page is set up, and when the address changes.
  follow(listener) {
    this.listeners.push(listener);
  },
};

const byId = (id) => document.getElementById(id);

// Makes an element. Text is never parsed as HTML.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}
