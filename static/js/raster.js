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

const STATE_ROWS = 2; // pixels of a lane's state, above
const LANE_ROWS = 3; // and of the lane as a whole: the last is whether tasks wait

/** Paint two bands a row: states by a table of 256 pixels, below them waits by another. */
export function paintLanes(canvas, { rows, columns, cells }, table, waits, waitTable) {
  paint(canvas, { rows: LANE_ROWS * rows, columns, cells }, (_, pixels) => {
    for (let row = 0; row < rows; row += 1) {
      for (let column = 0; column < columns; column += 1) {
        const at = row * columns + column;
        let pixel = LANE_ROWS * row * columns + column;
        for (let i = 0; i < STATE_ROWS; i += 1, pixel += columns) pixels[pixel] = table[cells[at]];
        pixels[pixel] = waitTable[waits.cells[at]];
      }
    }
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

const REACH_ROWS = 8; // how far a click looks for a queue with tasks in it, and
const REACH_COLUMNS = 3;

/** The row at a point of the heat map, or the nearest one with tasks where it has none: {row, column}, the cell's. */
export function cellAt({ rows, columns, cells }, x, y) {
  const row = Math.min(rows - 1, Math.floor(y * rows));
  const column = Math.min(columns - 1, Math.floor(x * columns));
  let found = { row, column, away: Infinity };
  const reach = rows > THIN ? REACH_ROWS : 0;
  for (let r = Math.max(0, row - reach); r <= Math.min(rows - 1, row + reach); r += 1) {
    for (let c = Math.max(0, column - REACH_COLUMNS); c <= Math.min(columns - 1, column + REACH_COLUMNS); c += 1) {
      const away = Math.abs(r - row) + Math.abs(c - column) / 8;
      if (cells[r * columns + c] && away < found.away) found = { row: r, column: c, away };
    }
  }
  return found;
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
