#include <a.h>
#include <legacy.h>
#include <b.h>
int x;
