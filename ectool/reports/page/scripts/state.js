// What is shown is kept in the address, `#anchor?key=value&...`: a link shows the same.
const state = {
  anchor: "",
  values: new URLSearchParams(),
  listeners: [],

  get(key, otherwise = "") {
    return this.values.get(key) ?? otherwise;
  },

  // An empty value, or the one that counts unless another is given, is left out of the address.
  set(key, value, otherwise = "") {
    if (value === otherwise) this.values.delete(key);
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
    if (this.anchor) document.getElementById(this.anchor)?.scrollIntoView();
  },

  // Call when the page is set up, and whenever somebody follows a link to another state of it.
  follow(listener) {
    this.listeners.push(listener);
  },
};

const byId = (id) => document.getElementById(id);

// Make an element: `text` is never read as markup.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}
