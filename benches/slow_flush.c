// A disk whose flush takes a millisecond longer, for benches/far_inserts.sh:
//
//   cc -shared -fPIC -O2 -o slow_flush.so benches/slow_flush.c
//   LD_PRELOAD=$PWD/slow_flush.so pg_ctl -D … start       # with wal_sync_method = fdatasync, as on Linux by default
//
// FLUSH_US is how much longer, in microseconds; 1000 if it is not set.
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int fdatasync(int fd) {
  const char *said = getenv("FLUSH_US");
  long us = said ? atol(said) : 1000;
  struct timespec longer = {us / 1000000, us % 1000000 * 1000};
  nanosleep(&longer, NULL);
  return syscall(SYS_fdatasync, fd);
}
