#!/bin/sh
# Fails when an object file compiled for one instruction set defines a function that others could be linked to: weak
# symbols (inline functions, templates) must name their instruction set. Otherwise the linker may pick the AVX-512 copy
# of, say, a container's function for the whole program, which then crashes on machines without AVX-512.
status=0
for object in "$@"; do
  case $object in
    *kernels_avx2.cc.o) own='avx2::\(Simd\|Turned\)' ;;
    *kernels_avx512_vnni.cc.o) own='avx512_vnni::\(Simd\|Turned\)' ;;
    *kernels_avx512.cc.o) own='avx512::\(Simd\|Turned\)' ;;
    *) continue ;;
  esac
  shared=$(nm -C --defined-only "$object" | grep ' [WVu] ' | grep -v -e "$own" -e 'DW\.ref\.__gxx_personality')
  if [ -n "$shared" ]; then
    echo "$object: functions of no instruction set:"
    echo "$shared"
    status=1
  fi
done
exit $status
