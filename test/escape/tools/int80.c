/*
 * A hostile tool for x86-64: opens a socket by a 32-bit system call (number 359), whose numbers mean
 * other calls in a 64-bit table, waiting before and after to be looked at.
 */
#include <unistd.h>

int main(void) {
  long result;
  usleep(500000);
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(359L), "b"(2L), "c"(1L), "d"(0L) : "memory");
  usleep(700000);
  return result < 0;
}
