#include <stdarg.h>
int x;
