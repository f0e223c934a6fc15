# Helpers that every folder's CMakeLists.txt uses, so that flags are stated once.

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

add_library(colonnade_flags INTERFACE)
target_include_directories(colonnade_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_definitions(colonnade_flags INTERFACE COLONNADE_VERSION="${PROJECT_VERSION}")
# -ffp-contract=off: a fused multiply-add happens where the code says fma and nowhere else, so that every
# instruction set and compiler gives the same bits.
target_compile_options(colonnade_flags INTERFACE
  -Wall -Wextra -Wconversion -Wshadow -ffp-contract=off -fno-omit-frame-pointer
  $<$<BOOL:${COLONNADE_WERROR}>:-Werror>)
# g++ 12 sees overlapping copies inside of std::string's operator+ where there are none (GCC bug 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(colonnade_flags INTERFACE -Wno-restrict)
endif()
if(COLONNADE_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "COLONNADE_FUZZ needs clang, found ${CMAKE_CXX_COMPILER_ID}")
  endif()
  # Coverage for libFuzzer in everything that a target calls.
  target_compile_options(colonnade_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(COLONNADE_SANITIZE)
  target_compile_options(colonnade_flags INTERFACE -fsanitize=${COLONNADE_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(colonnade_flags INTERFACE -fsanitize=${COLONNADE_SANITIZE})
endif()

# colonnade_library(name SOURCES ... DEPENDS ...): a static library with the project's flags.
function(colonnade_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;PRIVATE_DEPENDS" ${ARGN})
  if(NOT ARG_SOURCES)
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE colonnade_flags ${ARG_DEPENDS} ${ARG_PRIVATE_DEPENDS})
    return()
  endif()
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC colonnade_flags ${ARG_DEPENDS} PRIVATE ${ARG_PRIVATE_DEPENDS})
endfunction()

# colonnade_proto(name FILE.proto): a library with the code generated from one Protobuf file of this folder.
# Included as "<folder>/<file>.pb.h".
function(colonnade_proto name proto)
  file(RELATIVE_PATH folder ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
  get_filename_component(stem ${proto} NAME_WE)
  set(out ${CMAKE_BINARY_DIR}/generated/${folder}/${stem}.pb)
  add_custom_command(
    OUTPUT ${out}.cc ${out}.h
    COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/generated
    COMMAND protobuf::protoc --cpp_out=${CMAKE_BINARY_DIR}/generated -I ${CMAKE_SOURCE_DIR} ${folder}/${proto}
    DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${proto}
    WORKING_DIRECTORY ${CMAKE_SOURCE_DIR} VERBATIM)
  add_library(${name} STATIC ${out}.cc ${out}.h)
  # Generated code is not ours to warn about.
  target_compile_options(${name} PRIVATE -w)
  if(COLONNADE_SANITIZE)
    target_compile_options(${name} PRIVATE -fsanitize=${COLONNADE_SANITIZE})
  endif()
  target_include_directories(${name} SYSTEM PUBLIC ${CMAKE_BINARY_DIR}/generated)
  target_link_libraries(${name} PUBLIC protobuf::libprotobuf)
endfunction()
