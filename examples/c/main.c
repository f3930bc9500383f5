/* Says which digit pictures of 8x8 grey pixels show: ./classify 3.pgm ... */
#include "digits.h"
#include <stdio.h>

enum { SIDE = 8, PIXELS = SQUEEZENET_DIGITS_DATA_SIZE, CLASSES = SQUEEZENET_DIGITS_PROB_SIZE };

static _Alignas(64) unsigned char memory[SQUEEZENET_DIGITS_MEMORY_BYTES];

/* A number of a PGM file, behind spaces and comments; -1 where there is none. */
static int number(FILE *file) {
  int c = getc(file), found = 0;
  while (c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '#') {
    while (c == '#' && (c = getc(file)) != '\n' && c != EOF) {}
    c = getc(file);
  }
  if (c < '0' || c > '9') return -1;
  for (; c >= '0' && c <= '9' && found < 100000; c = getc(file)) found = 10 * found + c - '0';
  return found;
}

/* Reads a picture as the net takes it, values of 0 to 1; returns 0 where it is none. */
static int read_picture(const char *path, float *data) {
  FILE *file = fopen(path, "rb");
  if (!file) return 0;
  const int plain = getc(file) == 'P' ? getc(file) : 0; /* P2 has numbers, P5 bytes */
  const int sound = (plain == '2' || plain == '5') && number(file) == SIDE && number(file) == SIDE;
  const int most = sound ? number(file) : 0;
  int read = 0;
  for (; most > 0 && most < 256 && read < PIXELS; read++) {
    const int pixel = plain == '2' ? number(file) : getc(file);
    if (pixel < 0 || pixel > most) break;
    data[read] = (float)pixel / (float)most;
  }
  fclose(file);
  return read == PIXELS;
}

int main(int count, char **paths) {
  squeezenet_digits_context net;
  float data[PIXELS], prob[CLASSES];
  int status = 0;
  if (squeezenet_digits_init(&net, memory, NULL, 0)) return 1;
  for (int i = 1; i < count; i++) {
    if (!read_picture(paths[i], data)) {
      fprintf(stderr, "%s is no PGM picture of %dx%d pixels\n", paths[i], SIDE, SIDE);
      status = 1;
      continue;
    }
    squeezenet_digits_run(&net, data, prob);
    int best = 0;
    for (int k = 1; k < CLASSES; k++) best = prob[k] > prob[best] ? k : best;
    printf("%s: %d (%.1f%%)\n", paths[i], best, 100 * prob[best]);
  }
  return status;
}
