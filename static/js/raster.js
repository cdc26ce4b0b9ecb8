// Heat map and page lanes: the server sends one number a cell, this paints one pixel a cell. Plotly's heat map takes
// 60 to 250 ms for the same picture, a canvas under 10 (DECISIONS: what draws the rasters).

/** Unpack {dtype: "u1" | "u2", bdata: base64, shape: "rows, columns"} as {rows, columns, cells}. */
export function unpack({ dtype, bdata, shape }) {
  const [rows, columns] = shape.split(",").map(Number);
  const text = atob(bdata);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
  const cells = dtype === "u2" ? new Uint16Array(bytes.buffer) : bytes;
  return { rows, columns, cells };
}

/** Paint states by a table of 256 pixels. */
export function paintStates(canvas, picture, table) {
  paint(canvas, picture, (cells, pixels) => {
    for (let i = 0; i < cells.length; i += 1) pixels[i] = table[cells[i]];
  });
}

/** Paint lengths by a table of 256 pixels; the scale is a square root, so that short queues are told apart too. */
export function paintHeat(canvas, picture, most, table) {
  const { rows, columns } = picture;
  const step = new Uint32Array(Math.max(most, 1) + 1);
  for (let n = 1; n < step.length; n += 1) step[n] = table[Math.max(1, Math.round(255 * Math.sqrt(n / Math.max(most, 1))))];
  paint(canvas, picture, (cells, pixels) => {
    for (let i = 0; i < cells.length; i += 1) {
      const n = cells[i];
      if (n) pixels[i] = step[n < step.length ? n : step.length - 1];
    }
    if (rows > THIN) thicken(pixels, columns);
  });
}

const THIN = 64; // rows: with more of them, one alone is a hair that nobody sees

/** Let a row that has nothing show its neighbour's cell, so that a lone queue is three pixels high. */
function thicken(pixels, columns) {
  const last = pixels.length - columns;
  const own = pixels.slice();
  for (let i = 0; i < pixels.length; i += 1) {
    if (!own[i]) pixels[i] = (i < last && own[i + columns]) || (i >= columns && own[i - columns]) || 0;
  }
}

/** The row at a point of the heat map, or the neighbour whose cell is shown there because the row's own is empty. */
export function rowAt({ rows, columns, cells }, x, y) {
  const row = Math.min(rows - 1, Math.floor(y * rows));
  const column = Math.min(columns - 1, Math.floor(x * columns));
  const near = rows > THIN ? [row, row + 1, row - 1] : [row];
  return near.find((r) => r >= 0 && r < rows && cells[r * columns + column]) ?? row;
}

function paint(canvas, { rows, columns, cells }, fill) {
  if (canvas.width !== columns) canvas.width = columns;
  if (canvas.height !== rows) canvas.height = rows;
  if (!rows || !columns) return;
  const pen = canvas.getContext("2d");
  const image = pen.createImageData(columns, rows);
  fill(cells, new Uint32Array(image.data.buffer));
  pen.putImageData(image, 0, 0);
}
