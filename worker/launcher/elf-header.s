/*
 * The start of a static ELF executable with three program headers, shared by both architectures. The
 * file that includes this sets MACHINE (EM_X86_64 = 62, EM_AARCH64 = 183) and ends with `image_end:`.
 * Assembled and copied out with `objcopy -O binary`, the bytes are the whole program: there is no
 * linker, no section and no relocation.
 *
 * TEXT and TABLE are fixed, so that the supervisor can write absolute pointers into the table. Both
 * are congruent with their file offsets for pages of 4, 16 and 64 KiB.
 */

.set TEXT, 0x400000
.set TABLE, 0x10000000
.set TABLE_BYTES_MAX, 0x400000
.set TABLE_DESCRIPTOR, 4
.set REPORT_DESCRIPTOR, 5
.set REFUSED, 125                       /* exit code of a launcher that did not reach execve */

/* A row's fields after the call and its arguments, and what may be asked of a result. */
.set HEADER_BYTES, 24
.set RECORD_BYTES, 24                   /* the header with row and result in front: stage stays */
.set ROW_BYTES, 72
.set ROW_MODE, 56
.set ROW_OPERAND, 64
.set MUST_SUCCEED, 0
.set MAY_FAIL, 1                        /* operand: the one result (-errno) that is forgiven */
.set STORE, 2                           /* operand: the address where the result is kept */
.set MUST_EQUAL, 3                      /* operand: the only result that is accepted */

.macro program_header type, flags, address, file_bytes, memory_bytes, align
  .long \type, \flags
  .quad 0, \address, \address, \file_bytes, \memory_bytes, \align
.endm

image:
  .byte 0x7f
  .ascii "ELF"
  .byte 2, 1, 1, 0                      /* 64 bit, little endian, version 1, System V */
  .quad 0
  .short 2, MACHINE                     /* ET_EXEC */
  .long 1
  .quad TEXT + (_start - image), 64, 0  /* entry, program headers, no sections */
  .long 0
  .short 64, 56, 3, 0, 0, 0
  program_header 1, 5, TEXT, (image_end-image), (image_end-image), 0x10000   /* code: LOAD, r-x */
  program_header 1, 6, TABLE, 0, TABLE_BYTES_MAX, 0x10000                    /* LOAD, rw- */
  program_header 0x6474e551, 6, 0, 0, 0, 16                                  /* GNU_STACK, rw- */
