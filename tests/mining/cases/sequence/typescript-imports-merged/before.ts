import { alpha } from "old-kit";
import { beta } from "old-kit";

alpha(beta);
