import { alpha, beta } from "new-kit";

alpha(beta);
