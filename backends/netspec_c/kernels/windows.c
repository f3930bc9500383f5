/* needs: base threads */
/* Results for which the same elements of the window lie in the image: lines of n, across or down. */
typedef struct {
  ptrdiff_t x, y;            /* where the first element of the window and the first result are, in floats */
  int n, x_step, y_step;     /* results in a line, distances from one to the next */
  int lines, x_line, y_line; /* lines, distances from one to the next */
  int high, wide, first;     /* elements of the window: rows and columns, the first of them */
  int row, column;           /* the first result */
} Lines;

/* How a window goes over an image; distances in floats. */
typedef struct {
  Window k;
  int h, w, x_pixel, x_row;         /* of the image */
  int out_h, out_w, y_pixel, y_row; /* of the result */
} Walk;

/* Outputs from position `at` for which the same elements of the window, *from..*to, lie in the image: how many. */
static int same_window(int at, int outputs, int size, int k, int stride, int before, int dilation, int *from, int *to) {
  int n = 0;
  for (; at + n < outputs; n++) {
    const int start = (at + n) * stride - before;
    const int first = start < 0 ? min_of(k, (-start + dilation - 1) / dilation) : 0;
    const int end = start < size ? max_of(first, min_of(k, (size - start + dilation - 1) / dilation)) : first;
    if (n && (first != *from || end != *to)) break;
    *from = first, *to = end;
    if (first == 0 && end == k) return min_of(outputs - at, (size - 1 - (k - 1) * dilation - start) / stride + 1);
  }
  return n;
}

/* Calls fill(state, ...) for lines that make up the rows y0..y1 of the result. */
static void walk(const Walk *v, int y0, int y1, void (*fill)(const void *, const Lines *), const void *state) {
  const Window k = v->k;
  int top = 0, bottom = 0, left = 0, right = 0, rows, columns;
  for (int i = y0; i < y1; i += rows) {
    rows = same_window(i, y1, v->h, k.kh, k.sh, k.top, k.dh, &top, &bottom);
    for (int j = 0; j < v->out_w; j += columns) {
      columns = same_window(j, v->out_w, v->w, k.kw, k.sw, k.left, k.dw, &left, &right);
      const int down = rows > columns, x_row = k.sh * v->x_row, x_column = k.sw * v->x_pixel;
      Lines l = {
          .x = (ptrdiff_t)(i * k.sh - k.top + top * k.dh) * v->x_row + (j * k.sw - k.left + left * k.dw) * v->x_pixel,
          .y = (ptrdiff_t)i * v->y_row + j * v->y_pixel,
          .n = down ? rows : columns,
          .x_step = down ? x_row : x_column,
          .y_step = down ? v->y_row : v->y_pixel,
          .lines = down ? columns : rows,
          .x_line = down ? x_column : x_row,
          .y_line = down ? v->y_pixel : v->y_row,
          .high = bottom - top,
          .wide = right - left,
          .first = top * k.kw + left,
          .row = i,
          .column = j};
      if (!l.high || !l.wide) l.x = l.high = l.x_line = l.x_step = 0;
      fill(state, &l);
    }
  }
}
