/*
 * Builds a filter with libseccomp and writes its BPF to stdout, for comparison with ours.
 *
 *   libseccomp-export ARCH DEFAULT OPTIMIZE < rules
 *   rule: ACTION NAME COUNT (INDEX OPERATOR A B)*
 *
 * Names that this libseccomp does not know are listed on stderr and left out.
 */
#include <inttypes.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(int result, const char *what) {
  if (result == 0) return;
  fprintf(stderr, "%s: %s\n", what, strerror(-result));
  exit(1);
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  uint32_t arch = strcmp(argv[1], "x64") == 0 ? SCMP_ARCH_X86_64 : SCMP_ARCH_AARCH64;
  scmp_filter_ctx filter = seccomp_init(strtoul(argv[2], NULL, 10));
  if (filter == NULL) return 3;
  if (arch != seccomp_arch_native()) {
    check(seccomp_arch_add(filter, arch), "arch_add");
    check(seccomp_arch_remove(filter, seccomp_arch_native()), "arch_remove");
  }
  check(seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), "badarch");
  check(seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, strtoul(argv[3], NULL, 10)), "optimize");

  uint32_t action;
  char name[64];
  unsigned count;
  while (scanf("%" SCNu32 " %63s %u", &action, name, &count) == 3) {
    struct scmp_arg_cmp tests[6];
    for (unsigned at = 0; at < count && at < 6; at++) {
      unsigned index, operator;
      uint64_t a, b;
      if (scanf("%u %u %" SCNu64 " %" SCNu64, &index, &operator, &a, &b) != 4) return 4;
      tests[at] = (struct scmp_arg_cmp){index, operator, a, b};
    }
    int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR) {
      fprintf(stderr, "%s\n", name);
      continue;
    }
    check(seccomp_rule_add_array(filter, action, number, count, tests), name);
  }
  check(seccomp_export_bpf(filter, 1), "export");
  return 0;
}
