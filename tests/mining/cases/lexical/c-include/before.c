#include <varargs.h>
int x;
