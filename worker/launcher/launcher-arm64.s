# The launcher for arm64; launcher-x64.s tells what it does. Both read the same table.

.set MACHINE, 183
.include "elf-header.s"

.globl _start
_start:
  mov x19, #-1                          // row
  ldr x20, =TABLE
  mov x21, x20                          // where the next byte goes
  add x22, x20, #8                      // where reading stops: the length first, then the rest

read_more:
  mov x8, #63                           // read
  mov x0, #TABLE_DESCRIPTOR
  mov x1, x21
  sub x2, x22, x21
  svc #0
  cmp x0, #0
  b.le refuse                           // an error, or an end before the length is reached
  add x21, x21, x0
  cmp x21, x22
  b.lo read_more
  ldr x0, [x20]
  cmp x0, #TABLE_BYTES_MAX
  b.hi refuse
  add x22, x20, x0
  cmp x21, x22
  b.lo read_more
  b.hi refuse                           // shorter than its own length field

  add x21, x20, #HEADER_BYTES                     // the row's address
next_row:
  add x19, x19, #1
  mov x0, #0
  ldr x9, [x20, #8]
  cmp x19, x9
  b.hs refuse                           // the rows ended and nothing was executed
  ldr x8, [x21]
  ldp x0, x1, [x21, #8]
  ldp x2, x3, [x21, #24]
  ldp x4, x5, [x21, #40]
  svc #0
  ldp x9, x10, [x21, #ROW_MODE]         // mode, operand
  add x21, x21, #ROW_BYTES
  cmp x9, #MUST_EQUAL
  b.hi refuse
  b.eq must_equal
  cmp x9, #MAY_FAIL
  b.ne must_succeed
  cmp x0, x10
  b.eq next_row
must_succeed:
  tbnz x0, #63, refuse
  cmp x9, #STORE
  b.ne next_row
  str x0, [x10]
  b next_row
must_equal:
  cmp x0, x10
  b.eq next_row

refuse:
  stp x19, x0, [x20]
  mov x8, #64                           // write
  mov x0, #REPORT_DESCRIPTOR
  mov x1, x20
  mov x2, #RECORD_BYTES
  svc #0
  mov x8, #94                           // exit_group
  mov x0, #REFUSED
  svc #0
  brk #0                                // a filter that forbids exit_group ends here, by SIGTRAP

  .ltorg
image_end:
