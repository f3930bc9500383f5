/* needs: base threads */
/* A line of n results, across or down an image, for which the same elements of the window lie in the image. */
typedef struct {
  ptrdiff_t x, y;        /* where the first element of the window and the first result are, in floats */
  int n, x_step, y_step; /* results, distances from one to the next */
  int high, wide, first; /* elements of the window: rows and columns, the first of them */
  int row, column;       /* the first result */
} Line;

/* How a window goes over an image; distances in floats. */
typedef struct {
  Window k;
  int h, w, x_pixel, x_row;             /* of the image */
  int out_h, out_w, y_pixel, y_row;     /* of the result */
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
  }
  return n;
}

/* Calls line(state, ...) for lines that make up the rows y0..y1 of the result. */
static void walk(const Walk *v, int y0, int y1, void (*line)(const void *, const Line *), const void *state) {
  const Window k = v->k;
  int top = 0, bottom = 0, left = 0, right = 0, rows, columns;
  for (int i = y0; i < y1; i += rows) {
    rows = same_window(i, y1, v->h, k.kh, k.sh, k.top, k.dh, &top, &bottom);
    for (int j = 0; j < v->out_w; j += columns) {
      columns = same_window(j, v->out_w, v->w, k.kw, k.sw, k.left, k.dw, &left, &right);
      const int down = rows > columns;
      Line l = {.n = down ? rows : columns, .x_step = down ? k.sh * v->x_row : k.sw * v->x_pixel, .y_step = down ? v->y_row : v->y_pixel,
        .high = bottom - top, .wide = right - left, .first = top * k.kw + left};
      for (int at = 0; at < (down ? columns : rows); at++) {
        l.row = down ? i : i + at, l.column = down ? j + at : j;
        l.y = (ptrdiff_t)l.row * v->y_row + l.column * v->y_pixel;
        l.x = (ptrdiff_t)(l.row * k.sh - k.top + top * k.dh) * v->x_row + (l.column * k.sw - k.left + left * k.dw) * v->x_pixel;
        if (!l.high || !l.wide) l.x = l.high = 0;
        line(state, &l);
      }
    }
  }
}
