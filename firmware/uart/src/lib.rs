//! uart
