# Writes a text file as a C++ function that returns it. Raw string literals have a length limit in some compilers, so
# the text is cut into pieces.
file(READ ${INPUT} text)
set(pieces "")
string(LENGTH "${text}" length)
set(at 0)
while(at LESS length)
  string(SUBSTRING "${text}" ${at} 8000 piece)
  string(APPEND pieces "  R\"PAGE(${piece})PAGE\"\n")
  math(EXPR at "${at} + 8000")
endwhile()
file(WRITE ${OUTPUT} "#include \"api/dev_page.h\"\n\nnamespace belfry {\n\nstd::string_view dev_page() {\n  return\n${pieces};\n}\n\n}  // namespace belfry\n")
