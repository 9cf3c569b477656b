# The launcher: reads a table of system calls from descriptor 4 and makes them, row by row. The last
# row is execve. It holds no policy: what is called, and what each result must be, is in the table,
# which src/isolation/launch-table.ts builds and tests as plain data.
#
#   table   u64 length in bytes, u64 number of rows, u64 stage, the rows, then what they point at
#   row     i64 system call, 6 × u64 argument, u64 mode, u64 operand
#   report  u64 row, i64 result, u64 stage
#
# Anything unforeseen ends in a report on descriptor 5 and exit code 125. Its row is -1 while the table
# is being read.

.intel_syntax noprefix
.set MACHINE, 62
.include "elf-header.s"

.globl _start
_start:
  mov r12, -1                           # row
  mov ebx, TABLE                        # where the next byte goes
  mov r13d, TABLE + 8                   # where reading stops: the length first, then the rest

read_more:
  xor eax, eax                          # read
  mov edi, TABLE_DESCRIPTOR
  mov rsi, rbx
  mov rdx, r13
  sub rdx, rbx
  syscall
  test rax, rax
  jle refuse                            # an error, or an end before the length is reached
  add rbx, rax
  cmp rbx, r13
  jb read_more
  mov rax, [TABLE]
  cmp rax, TABLE_BYTES_MAX
  ja refuse
  lea r13, [rax + TABLE]
  cmp rbx, r13
  jb read_more
  ja refuse                             # shorter than its own length field

  mov ebx, TABLE + HEADER_BYTES         # the row's address
next_row:
  inc r12
  xor eax, eax
  cmp r12, [TABLE + 8]
  jae refuse                            # the rows ended and nothing was executed
  mov rax, [rbx]
  mov rdi, [rbx + 8]
  mov rsi, [rbx + 16]
  mov rdx, [rbx + 24]
  mov r10, [rbx + 32]
  mov r8, [rbx + 40]
  mov r9, [rbx + 48]
  syscall
  mov rdx, [rbx + ROW_MODE]
  mov rcx, [rbx + ROW_OPERAND]
  add rbx, ROW_BYTES
  cmp rdx, MUST_EQUAL
  ja refuse
  je must_equal
  cmp rdx, MAY_FAIL
  jne must_succeed
  cmp rax, rcx
  je next_row
must_succeed:
  test rax, rax
  js refuse
  cmp rdx, STORE
  jne next_row
  mov [rcx], rax
  jmp next_row
must_equal:
  cmp rax, rcx
  je next_row

refuse:
  mov ecx, TABLE
  mov [rcx], r12
  mov [rcx + 8], rax
  mov rsi, rcx
  mov eax, 1                            # write
  mov edi, REPORT_DESCRIPTOR
  mov edx, RECORD_BYTES
  syscall
  mov eax, 231                          # exit_group
  mov edi, REFUSED
  syscall
  hlt                                   # a filter that forbids exit_group ends here, by SIGSEGV

image_end:
