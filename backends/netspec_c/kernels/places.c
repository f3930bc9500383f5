/* max_pool_indices needs: element */
/* The largest element of each window, and its place h * w + w in the input; the first of equal ones, NaN is larger than any number. */
UNUSED static void max_pool_indices(const Run *r, Blocks x, Blocks y, Blocks indices, Window k) {
  (void)r;
  for (int c = 0; c < y.c; c++)
    for (int i = 0; i < y.h; i++)
      for (int j = 0; j < y.w; j++) {
        const int top = i * k.sh - k.top, left = j * k.sw - k.left;
        float best = -INFINITY;
        int place = -1;
        for (int v = 0; v < k.kh; v++)
          for (int u = 0; u < k.kw; u++) {
            const int row = top + v * k.dh, column = left + u * k.dw;
            if (row < 0 || row >= x.h || column < 0 || column >= x.w) continue;
            const float e = *element(x, c, row, column);
            if (place < 0 || e > best || isnan(e)) best = e, place = row * x.w + column;
          }
        *element(y, c, i, j) = best;
        *(int32_t *)(void *)element(indices, c, i, j) = place;
      }
}
/* max_unpool needs: element each */
/* Puts each element back where a pooling found it, in zeros. */
UNUSED static void max_unpool(const Run *r, Blocks x, Blocks indices, Blocks y) {
  (void)r;
  for (size_t i = 0; i < floats_of(y); i++) y.at[i] = 0;
  for (int c = 0; c < x.c; c++)
    for (int i = 0; i < x.h; i++)
      for (int j = 0; j < x.w; j++) {
        const int32_t *place = (int32_t *)(void *)element(indices, c, i, j);
        element(y, c, 0, 0)[16 * (ptrdiff_t)*place] = *element(x, c, i, j);
      }
}
/* from_indices needs: element */
UNUSED static void from_indices(const Run *r, Blocks x, int32_t *y) {
  (void)r;
  for (int c = 0; c < x.c; c++)
    for (int i = 0; i < x.h; i++)
      for (int j = 0; j < x.w; j++) *y++ = *(int32_t *)(void *)element(x, c, i, j);
}
/* adaptive_pool needs: element */
/* The mean, or the largest element, of each of y.h x y.w nearly equal parts. */
UNUSED static void adaptive_pool(const Run *r, Blocks x, Blocks y, int largest) {
  (void)r;
  for (int c = 0; c < y.c; c++)
    for (int i = 0; i < y.h; i++)
      for (int j = 0; j < y.w; j++) {
        const int top = (int)((int64_t)i * x.h / y.h), bottom = (int)(((int64_t)(i + 1) * x.h + y.h - 1) / y.h);
        const int left = (int)((int64_t)j * x.w / y.w), right = (int)(((int64_t)(j + 1) * x.w + y.w - 1) / y.w);
        double sum = 0;
        float most = -INFINITY;
        for (int v = top; v < bottom; v++)
          for (int u = left; u < right; u++) {
            const float e = *element(x, c, v, u);
            sum += e, most = e > most ? e : most;
          }
        *element(y, c, i, j) = largest ? most : (float)(sum / ((double)(bottom - top) * (right - left)));
      }
}
/* roi_pool needs: element */
/* From which of `length` rows up to which part i of so many is, in a region from row `first` to row `last`. */
static void roi_part(float first, float last, int parts, int i, int length, int *from, int *to) {
  const float step = fmaxf(last - first + 1, 1) / (float)parts;
  *from = (int)fminf(fmaxf(floorf((float)i * step) + first, 0), (float)length);
  *to = (int)fminf(fmaxf(ceilf((float)(i + 1) * step) + first, 0), (float)length);
}

/* The largest element of each of height x width parts of regions; 0 for parts outside. */
UNUSED static void roi_pool(const Run *r, Blocks x, Blocks regions, Blocks y, int height, int width, float scale) {
  (void)r;
  for (int i = 0; i < y.h; i++)
    for (int j = 0; j < y.w; j++) {
      const float *at = element(regions, 0, i, j);
      float corner[4];
      for (int k = 0; k < 4; k++) corner[k] = floorf(at[k] * scale + 0.5f);
      for (int part = 0; part < height * width; part++) {
        int top, bottom, left, right;
        roi_part(corner[1], corner[3], height, part / width, x.h, &top, &bottom);
        roi_part(corner[0], corner[2], width, part % width, x.w, &left, &right);
        for (int c = 0; c < x.c; c++) {
          float most = top < bottom && left < right ? -INFINITY : 0;
          for (int v = top; v < bottom; v++)
            for (int u = left; u < right; u++) most = fmaxf(most, *element(x, c, v, u));
          *element(y, c * height * width + part, i, j) = most;
        }
      }
    }
}
