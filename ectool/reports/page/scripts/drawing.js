// Draws the views of a sample: images, differences and heatmaps.
const VIEWS = {
  image: "image",
  perturbed: "perturbed",
  difference: "difference",
  heatmap: "heatmap",
  "perturbed-heatmap": "heatmap of perturbed",
  overlay: "overlay",
  "perturbed-overlay": "overlay of perturbed",
};
const DEFAULT_VIEW = "overlay";
const GREY = 128;
const BYTES = 255;

const decoded = new Map();
const requests = new WeakMap();

// Returns the pixels of a `data:` URI. Each URI is decoded once.
function pixelsOf(uri) {
  if (!decoded.has(uri)) decoded.set(uri, decode(uri));
  return decoded.get(uri);
}

async function decode(uri) {
  const image = new Image();
  image.src = uri;
  await image.decode();
  const canvas = make("canvas", { width: image.naturalWidth, height: image.naturalHeight });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

// Draws one view of a sample. `result`: data of one model; `data`: data of all samples.
async function draw(canvas, view, uri, result, data) {
  const request = {};
  requests.set(canvas, request);
  const [image, difference] = await Promise.all([uri, result.difference].map(pixelsOf));
  if (requests.get(canvas) !== request) return; // a later request draws on this canvas
  const { width, height } = image;
  const isPerturbed = view.startsWith("perturbed");
  const base = isPerturbed ? perturbed(image, difference, data.factor) : image;
  const shown = view === "difference" ? difference : new ImageData(width, height);
  if (view === "image" || view === "perturbed") shown.data.set(base.data);
  else if (view !== "difference") {
    const heatmap = isPerturbed ? result.adversarial : result.clean;
    const opacity = view.endsWith("overlay") ? data.opacity : 1;
    colour(shown, base, enlarged(heatmap, width, height), data.palette, opacity);
  }
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d").putImageData(shown, 0, 0);
  canvas.dataset.view = view;
}

// Returns the perturbed image: the image plus the difference without its amplification.
function perturbed(image, difference, factor) {
  const pixels = new ImageData(image.width, image.height);
  for (let at = 0; at < pixels.data.length; at += 1) {
    const isOpacity = at % 4 === 3;
    pixels.data[at] = isOpacity ? BYTES : image.data[at] + (difference.data[at] - GREY) / factor;
  }
  return pixels;
}

// Enlarges a heatmap by bilinear interpolation.
function enlarged({ width, height, levels }, toWidth, toHeight) {
  const values = bytesOf(levels);
  const result = new Float32Array(toWidth * toHeight);
  const place = (at, to, from) => Math.min(Math.max(((at + 0.5) * from) / to - 0.5, 0), from - 1);
  for (let row = 0; row < toHeight; row += 1) {
    const y = place(row, toHeight, height);
    const top = Math.floor(y);
    const below = Math.min(top + 1, height - 1);
    for (let column = 0; column < toWidth; column += 1) {
      const x = place(column, toWidth, width);
      const left = Math.floor(x);
      const right = Math.min(left + 1, width - 1);
      const mix = (line) =>
        values[line * width + left] * (1 - x + left) + values[line * width + right] * (x - left);
      result[row * toWidth + column] = mix(top) * (1 - y + top) + mix(below) * (y - top);
    }
  }
  return result;
}

// Blends the colours of a heatmap with the grey image (ITU-R 601).
function colour(result, base, heat, palette, opacity) {
  for (let pixel = 0; pixel < heat.length; pixel += 1) {
    const at = 4 * pixel;
    const grey = 0.299 * base.data[at] + 0.587 * base.data[at + 1] + 0.114 * base.data[at + 2];
    const entry = 3 * Math.round(heat[pixel]);
    for (let channel = 0; channel < 3; channel += 1) {
      result.data[at + channel] = opacity * palette[entry + channel] + (1 - opacity) * grey;
    }
    result.data[at + 3] = BYTES;
  }
}
